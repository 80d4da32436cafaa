import { z } from "zod";

/** What became of one quantized Linear. */
export const linearShape = z.object({
  /** Module name. */
  name: z.string(),
  block: z.number(),
  /** Its name in the block: `q`, `down`; of a graph its place in the unit, from 1. */
  role: z.string(),
  rows: z.number(),
  columns: z.number(),
  bits: z.number(),
  /** Columns of a group; the whole row where a group is one. */
  groupSize: z.number(),
  /** Codes, scales and zero points. */
  bytes: z.number(),
  /**
   * Mean squared error of its output in the output's mean square, on inputs of the quantized network; of the weights where no text
   * was given (`errorOf`); null where neither is known.
   */
  relativeError: z.number().nullable(),
  errorOf: z.enum(["output", "weights"]).nullable(),
  /** Calibration tokens that each expert of a stack computes; absent where they were not counted. */
  tokens: z.array(z.number()).optional(),
  /** How often each code occurs in a sample of rows, the lowest first; of 8 bits four neighbours are counted together. */
  codes: z.array(z.number()),
  /** Smallest and largest scale. */
  scales: z.tuple([z.number(), z.number()]).nullable(),
});

/** Continuations of the same prompt, the likeliest token each time. */
export const samplesShape = z
  .array(
    z.object({
      prompt: z.string(),
      source: z.string(),
      result: z.string(),
      /** Null where it was not generated. */
      roundToNearest: z.string().nullable(),
    }),
  )
  .nullable();

export type LinearRecord = z.output<typeof linearShape>;
export type SampleTexts = z.output<typeof samplesShape>;
