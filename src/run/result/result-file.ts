import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../../errors.js";
import { type FormatName, primaryFormat } from "../../format/exporters.js";
import { type CopiedFiles, recordFile } from "../../format/written-files.js";
import { graphFormat } from "../options/graph/is-graph.js";
import {
  activationsShape,
  effortShape,
  fingerprintsShape,
  qualityShape,
  type ResultRecord,
  sizesShape,
  timelineShape,
} from "./result-record.js";
import { originShape } from "./told/told-options.js";

/** The files that a result took over from its source model. Empty where the record, or an early one, names none. */
export function copiedFilesOf(value: unknown): CopiedFiles {
  const record = z.object({ copied: z.record(z.string(), z.number()).default({}) }).parse(value);
  return new Map(Object.entries(record.copied));
}

/** The format that a result is kept in, by its record: of a graph ONNX again. */
export function recordedPrimary(value: unknown): FormatName {
  return ofGraph.safeParse(value).success ? graphFormat : primaryFormat;
}

const ofGraph = z.object({ network: z.object({ kind: z.literal("graph") }) });

/** Writes `crossblock.json` into a folder. */
export async function writeResultRecord(folder: string, record: ResultRecord): Promise<void> {
  await writeFile(join(folder, recordFile), `${inLines(JSON.stringify(record, null, 2))}\n`);
}

// Lists of numbers, of which there are many, take a line each. No string of JSON holds a line break.
function inLines(json: string): string {
  return json.replace(/\[\n\s+((?:-?[\d.e+-]+|null)(?:,\n\s+(?:-?[\d.e+-]+|null))*)\n\s+\]/g, (_, list: string) => {
    return `[${list.replace(/\n\s+/g, " ")}]`;
  });
}

const readable = z.object({
  scheme: z.string(),
  activations: activationsShape.nullable(),
  /** Absent in results of early versions, as is everything that follows. */
  name: z.string().optional(),
  options: z.object({ model: z.string() }).optional(),
  origin: originShape.optional(),
  network: z.record(z.string(), z.unknown()).optional(),
  fingerprints: fingerprintsShape.optional(),
  sizes: sizesShape.optional(),
  quality: qualityShape.optional(),
  effort: effortShape.optional(),
  timeline: timelineShape.optional(),
});

const made = z.object({
  scheme: z.string(),
  created: z.string(),
  options: z.record(z.string(), z.unknown()),
  /** Absent in results of early versions, whose options have the paths themselves. */
  origin: originShape.optional(),
  /** Absent in results of early versions. */
  effort: effortShape.nullish(),
});

/** What tells whether a command would make this result again. */
export type MadeRecord = z.output<typeof made>;

/** @throws CheckpointError when it is not what crossblock writes */
export function parseMadeRecord(value: unknown, folder: string): MadeRecord {
  return parsedAs(made, value, folder);
}

/** What another command needs of `crossblock.json`. */
export type ReadRecord = z.output<typeof readable>;

/**
 * Checks what `crossblock.json` of a result holds.
 *
 * @throws CheckpointError when it is not what crossblock writes.
 */
export function parseResultRecord(value: unknown, folder: string): ReadRecord {
  return parsedAs(readable, value, folder);
}

function parsedAs<T extends z.ZodType>(schema: T, value: unknown, folder: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new CheckpointError({
    where: join(folder, recordFile),
    what: "is not what crossblock wrote",
    why: `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "invalid"}`,
    next: "restore it, or quantize the model again",
  });
}
