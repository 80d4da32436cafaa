import { z } from "zod";
import { recordedCalibration } from "../result/recorded/recorded-calibration.js";
import { linearShape, samplesShape } from "../result/result-details.js";
import { effortShape, lossesShape, qualityShape, sizesShape, timelineShape } from "../result/result-record.js";

const loss = z.object({ total: z.number().nullable() }).nullable();

/** Of what a record lacks, or early versions wrote otherwise, the page says that it is not there. */
const absent = null;

/** All that the page shows of a result, with null for what its record does not tell. */
const reportShape = z.object({
  name: z.string().nullable().catch(absent),
  version: z.string().nullable().catch(absent),
  created: z.string().nullable().catch(absent),
  scheme: z.string().catch("unknown scheme"),
  symmetric: z.boolean().nullable().catch(absent),
  bitsPerWeight: z.number().nullable().catch(absent),
  recipe: z.string().nullable().catch(absent),
  preset: z.string().nullable().catch(absent),
  effort: effortShape.catch(absent),
  options: z
    .object({ model: z.string().nullable().catch(absent) })
    .nullable()
    .catch(absent),
  engine: z.object({ torch: z.string(), device: z.string(), dtype: z.string() }).nullable().catch(absent),
  calibration: recordedCalibration.nullable().catch(absent),
  sizes: sizesShape.nullable().catch(absent),
  quality: qualityShape.catch(absent),
  qualityMissing: z.string().nullable().catch(absent),
  linears: z.array(linearShape).nullable().catch(absent),
  samples: samplesShape.catch(absent),
  samplesMissing: z.string().nullable().catch(absent),
  windows: z
    .array(
      z.object({
        window: z.number(),
        blocks: z.tuple([z.number(), z.number()]),
        lossBefore: loss,
        lossAfter: loss,
        losses: lossesShape.nullable().catch(absent),
        seconds: z.number(),
      }),
    )
    .catch([]),
  timeline: timelineShape.nullable().catch(absent),
  peakMemoryBytes: z.number().nullable().catch(absent),
  seconds: z.number().nullable().catch(absent),
  warnings: z.array(z.object({ message: z.string(), where: z.string(), next: z.string() })).catch([]),
});

/** A result, as the page tells of it: plain data. */
export type ReportRecord = z.output<typeof reportShape>;

/** What one format's files were found to be. */
export interface CertifiedFormat {
  readonly format: string;
  readonly agrees: boolean;
  /** Tensors that are the result's, those with a loss that was asked for, and all. */
  readonly same: number;
  readonly lossy: number;
  readonly tensors: number;
  readonly runtime: { readonly status: string; readonly said: string; readonly divergence: number | null };
}

/** Takes of a record, this version's or an early one's, what the page shows. */
export function reportRecord(value: unknown): ReportRecord {
  return reportShape.parse(value !== null && typeof value === "object" ? value : {});
}
