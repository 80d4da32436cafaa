import { z } from "zod";
import { OptionError } from "../errors.js";
import { GGUF_FLOAT_CHOICES } from "./gguf/plan.js";

/** What can be chosen when a result is written: for `quantize` and for `export`, help texts included. */
export const exportOptionsShape = {
  ggufEmbedding: z
    .enum(GGUF_FLOAT_CHOICES)
    .nullable()
    .default(null)
    .describe("type of the embedding in GGUF; null keeps the model's own, q8_0 halves it at a small loss"),
  ggufOutput: z
    .enum(GGUF_FLOAT_CHOICES)
    .nullable()
    .default(null)
    .describe("type of the output matrix in GGUF, where it is not the embedding; null keeps the model's own"),
  reencode: z
    .boolean()
    .default(false)
    .describe("round again what GGUF has no exact type of the same size for, and report the loss"),
} as const;

const exportOptions = z.strictObject(exportOptionsShape);

/** Resolved choices; every exporter takes those that concern it. */
export type ExportOptions = Readonly<z.output<typeof exportOptions>>;

/** @throws OptionError for a choice that none of the formats to be written would take */
export function assertUsed(options: ExportOptions, formats: readonly string[]): void {
  if (formats.includes("gguf")) return;
  const given = [
    options.ggufEmbedding === null ? null : "--gguf-embedding",
    options.ggufOutput === null ? null : "--gguf-output",
    options.reencode ? "--reencode" : null,
  ].find((flag) => flag !== null);
  if (given === undefined) return;
  throw new OptionError({
    where: given,
    what: `concerns GGUF, and only ${formats.join(", ")} will be written`,
    next: "add gguf to --format, or leave the option out",
  });
}
