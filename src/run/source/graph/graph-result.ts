import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { recordFile } from "../../../format/written-files.js";
import { graphFormat } from "../../options/graph/is-graph.js";
import { parseResultRecord, type ReadRecord, recordedPrimary } from "../../result/result-file.js";

/** A result of a graph, as its record tells it. */
export interface GraphResult {
  readonly folder: string;
  readonly record: ReadRecord;
  /** As it was parsed. */
  readonly value: unknown;
}

/** The record of a folder that holds the result of a graph; null for any other folder. */
export async function graphResultAt(folder: string): Promise<GraphResult | null> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(join(folder, recordFile), "utf8"));
  } catch {
    return null;
  }
  if (recordedPrimary(value) !== graphFormat) return null;
  return { folder, record: parseResultRecord(value, folder), value };
}
