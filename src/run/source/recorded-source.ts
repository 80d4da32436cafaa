import { isAbsolute, join } from "node:path";
import { hubStorage } from "../../checkpoint/hub/hub.js";
import { hubNameOf } from "../../checkpoint/hub/hub-name.js";
import type { ReadRecord } from "../result/result-file.js";

/**
 * The folder where the model of a result was, by its record: beside the result, or in the cache of the hub. Early versions
 * recorded the path as it was given. Null where the record tells a name alone; the folder may be gone.
 */
export function recordedSource({ options, origin }: ReadRecord, result: string): string | null {
  const model = options?.model;
  if (model === undefined) return null;
  if (origin === undefined || isAbsolute(model)) return model;
  if (/^\.\.?(\/|$)/.test(model)) return join(result, model);
  const named = hubNameOf(model);
  return named === null || origin.commit === null ? null : join(hubStorage(named), "snapshots", origin.commit);
}
