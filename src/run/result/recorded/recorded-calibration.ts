import { z } from "zod";

/** What a record tells of its calibration text. Records of schema 1 call the number of sequences `windows`. */
export const recordedCalibration = z.preprocess(
  (value) => {
    if (value === null || typeof value !== "object" || "sequences" in value || !("windows" in value)) return value;
    return { ...value, sequences: value.windows };
  },
  z.object({
    source: z.string().catch("files"),
    tokens: z.number(),
    sequences: z.number(),
    /** Tokens a sequence. */
    context: z.number(),
  }),
);
