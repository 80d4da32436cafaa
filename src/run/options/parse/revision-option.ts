import { z } from "zod";

/** Which state of a repository of the hub is meant. */
export const revisionOption = z
  .string()
  .min(1)
  .nullable()
  .default(null)
  .describe("branch, tag or commit of a model of the hub, as owner/name@revision names it too; null takes main");
