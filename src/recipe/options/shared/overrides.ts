import { z } from "zod";
import { fragment } from "../fragment.js";
import { count } from "../numbers.js";
import { always } from "../reading.js";

const override = z.strictObject({
  pattern: z.string().min(1).describe("module name, `*` for any characters: model.layers.*.mlp.down_proj"),
  bits: z.int().min(2).max(8).optional().describe("bits of its weights"),
  group: z
    .union([count, z.literal("channel")])
    .optional()
    .describe("columns per group, or channel"),
  inputBits: z
    .union([z.literal(4), z.literal(8), z.literal(16)])
    .optional()
    .describe(
      "bits of its input, 16 for none (ONNX graphs; the layers that read the image have 16 unless this says otherwise)",
    ),
  skip: z.boolean().optional().describe("leave it in the source precision"),
});
export type Override = z.output<typeof override>;

/** Linears that get another scheme than the others, or none. */
export const overridesOptions = fragment(
  z
    .array(override)
    .readonly()
    .default([])
    .describe(
      'exceptions by module name, * for any characters; the last that matches wins: [{"pattern": "*.down_proj", "bits": 8}]',
    ),
  always,
);
