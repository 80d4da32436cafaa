import { z } from "zod";
import { OptionError } from "../../errors.js";
import { GGUF_FLOAT_CHOICES } from "../gguf/plan.js";
import { SCALE_CHOICES } from "../mlx/layout.js";

/** What can be chosen when a result is written: for `quantize` and for `export`, help texts included. */
export const exportOptionsShape = {
  ggufEmbedding: z
    .enum(GGUF_FLOAT_CHOICES)
    .nullable()
    .default(null)
    .describe(
      "type of the embedding in GGUF; null takes q8_0, half of bf16 at a small loss that is reported, where its rows are whole blocks; else the model's own",
    ),
  ggufOutput: z
    .enum(GGUF_FLOAT_CHOICES)
    .nullable()
    .default(null)
    .describe("type of the output matrix in GGUF, where it is not the embedding; null keeps the model's own"),
  reencode: z
    .boolean()
    .default(false)
    .describe("round again what GGUF has no exact type of the same size for, and report the loss"),
  onnxPrecision: z
    .enum(["fp32", "fp16"])
    .default("fp32")
    .describe("floating point of the ONNX graph: fp32 is exact, fp16 is for WebGPU and rounds what is not quantized"),
  onnxAccuracy: z
    .enum(["exact", "fast"])
    .default("fast")
    .describe("activations of the ONNX graph: fast lets onnxruntime round them to 8 bits (accuracy_level 4)"),
  mlxScales: z
    .enum(SCALE_CHOICES)
    .default("exact")
    .describe(
      "floating point of scales and biases in MLX: exact takes fp16 for symmetric weights and fp32 for others; bf16 or f16 round them to a model's own type, with the loss reported",
    ),
  qdqCodes: z
    .enum(["int4", "int8"])
    .default("int4")
    .describe(
      "integers of QDQ that codes of 4 bits and fewer are stored in: int4 takes half the space and operators of version 21, int8 those of 13, and onnxruntime multiplies integers",
    ),
} as const;

const exportOptions = z.strictObject(exportOptionsShape);

/** Resolved choices; every exporter takes those that concern it. */
export type ExportOptions = Readonly<z.output<typeof exportOptions>>;

/** What is chosen where nothing is said. */
export const defaultExportOptions: ExportOptions = exportOptions.parse({});

/** The format that each choice concerns, and its flag. */
const concerns: Readonly<Record<keyof ExportOptions, readonly [format: string, flag: string]>> = {
  ggufEmbedding: ["gguf", "--gguf-embedding"],
  ggufOutput: ["gguf", "--gguf-output"],
  reencode: ["gguf", "--reencode"],
  onnxPrecision: ["onnx", "--onnx-precision"],
  onnxAccuracy: ["onnx", "--onnx-accuracy"],
  mlxScales: ["mlx", "--mlx-scales"],
  qdqCodes: ["qdq", "--qdq-codes"],
};

/** Those of the choices that concern none of these formats. */
export function unusedOptions(formats: readonly string[]): readonly string[] {
  return Object.entries(concerns).flatMap(([name, [format]]) => (formats.includes(format) ? [] : [name]));
}

/** The choices that are not the defaults, as flags of the command line. */
export function exportFlags(options: ExportOptions): readonly string[] {
  return Object.entries(concerns).flatMap(([key, [, flag]]) => {
    const value = options[key as keyof ExportOptions];
    if (value === defaultExportOptions[key as keyof ExportOptions]) return [];
    return value === true ? [flag] : [flag, String(value)];
  });
}

/**
 * @param given what the user wrote, without defaults
 * @throws OptionError for a choice that none of the formats to be written would take
 */
export function assertUsed(given: Readonly<Record<string, unknown>>, formats: readonly string[]): void {
  for (const [name, [format, flag]] of Object.entries(concerns)) {
    if (formats.includes(format) || given[name] === undefined) continue;
    throw new OptionError({
      where: flag,
      what: `concerns ${format}, and only ${formats.join(", ")} will be written`,
      next: `add ${format} to --format, or leave the option out`,
    });
  }
}
