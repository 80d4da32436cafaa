import { z } from "zod";
import { hubNameOf, isRevision } from "../../../checkpoint/hub/hub-name.js";
import { OptionError } from "../../../errors.js";
import { parseOptions, rejectUnknownKeys, type UntypedOptions } from "../parse/parse-options.js";
import { pathOption } from "../parse/path-option.js";

/** Every option of `push`: types, defaults and help come from here. */
export const pushSchema = z.strictObject({
  result: pathOption.describe("folder that quantize wrote"),
  repository: z.string().min(1).describe("owner/name on the Hugging Face Hub; it is created if it is missing"),
  private: z.boolean().default(false).describe("create the repository as a private one"),
  revision: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("branch to upload to, created from main if it is missing; null takes main"),
  message: z.string().min(1).nullable().default(null).describe("title of the commit; null names model and scheme"),
  unchecked: z.boolean().default(false).describe("upload files that were not read back and compared with their hashes"),
  dryRun: z.boolean().default(false).describe("check, list the files with their sizes and stop: nothing is uploaded"),
});

/** Options as a caller writes them: everything with a default may be left out. */
export type PushOptionsInput = z.input<typeof pushSchema>;
/** Resolved options. */
export type PushOptions = z.output<typeof pushSchema>;

/** @throws OptionError that names the option, and the nearest valid name or value */
export function resolvePushOptions(given: UntypedOptions): PushOptions {
  rejectUnknownKeys(pushSchema, given);
  const options = parseOptions(pushSchema, given);
  const { repository, revision } = options;
  if (hubNameOf(`hub:${repository}`)?.name !== repository) {
    throw new OptionError({
      where: `repository "${repository}"`,
      what: "is no name on the hub",
      next: "give owner/name: your account or organisation (hf auth whoami), a slash, and letters, digits, -, _ and .",
    });
  }
  if (revision !== null && !isRevision(revision)) {
    throw new OptionError({
      where: 'option "revision"',
      what: `"${revision}" is no name of a branch`,
      next: "give main, or a name of letters, digits, -, _, . and /",
    });
  }
  return options;
}
