import { join } from "node:path";
import type { ConfigContradiction } from "../../network/index.js";
import type { WarningEvent } from "./events.js";

/** A warning that `config.json` of a folder contradicts itself or its tensors, and what counts. */
export function contradiction(folder: string, { what, next }: ConfigContradiction): WarningEvent {
  return { event: "warning", where: join(folder, "config.json"), message: what, next };
}
