import { join } from "node:path";
import { z } from "zod";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import { CrossblockError } from "../../errors.js";
import type { FormatName } from "../../format/exporters.js";
import { certificateFile, recordFile } from "../../format/written-files.js";
import { recordedCalibration } from "../result/recorded/recorded-calibration.js";
import { recordedPrimary } from "../result/result-file.js";
import { qualityOf, type Scores } from "../result/result-quality.js";
import { originShape } from "../result/told/told-options.js";

const largest = 64_000_000;

const record = z.object({
  version: z.string(),
  created: z.string(),
  name: z.string(),
  scheme: z.string(),
  symmetric: z.boolean(),
  bitsPerWeight: z.number(),
  recipe: z.string(),
  preset: z.string(),
  options: z.record(z.string(), z.unknown()),
  engine: z.object({ torch: z.string(), device: z.string() }),
  activations: z
    .object({
      bits: z.union([z.literal(4), z.literal(8)]),
      granularity: z.enum(["token", "tensor"]),
      simulated: z.string().nullable(),
    })
    .nullable(),
  calibration: recordedCalibration.nullable(),
  /** Absent in results of early versions, as are the sizes: their paths are not told. */
  origin: originShape.optional(),
  sizes: z.object({ source: z.number() }).optional().catch(undefined),
  effort: z.object({ name: z.string() }).nullable().optional().catch(undefined),
});

const certificate = z.object({ created: z.string(), verdict: z.object({ lines: z.array(z.string()).length(3) }) });

/** What a card reads in `crossblock.json` and `certificate.json`. */
export interface CardRecord extends z.output<typeof record> {
  readonly quality: Scores | null;
  /** The format that the result itself has. */
  readonly primary: FormatName;
  /** Null where nothing was verified yet. */
  readonly certificate: z.output<typeof certificate> | null;
}

/** @returns null for a folder of another tool, and for a record that says too little for a card */
export function readCardRecord(folder: string): CardRecord | null {
  const value = readJson(folder, recordFile);
  const parsed = record.safeParse(value);
  if (!parsed.success) return null;
  const certified = certificate.safeParse(readJson(folder, certificateFile));
  return {
    ...parsed.data,
    quality: qualityOf(value),
    primary: recordedPrimary(value),
    certificate: certified.success ? certified.data : null,
  };
}

function readJson(folder: string, name: string): unknown {
  try {
    const text = ModelFolder.open(folder).readText(name, largest);
    return text === null ? null : JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof CrossblockError) return null;
    throw new Error(`${join(folder, name)} can't be read`, { cause: error });
  }
}
