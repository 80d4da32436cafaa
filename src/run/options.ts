import { z } from "zod";
import { OptionError } from "../errors.js";
import { assertUsed, exportOptionsShape } from "../format/export-options.js";
import { type FormatName, formatNames, primaryFormat } from "../format/exporters.js";
import { parseScheme, type Scheme } from "../quant/scheme.js";
import {
  presetNames,
  type RecipeOptions,
  type RecipeOptionsInput,
  recipeNames,
  recipeOptionsSchema,
  recipeOptionsShape,
  roundingKinds,
} from "../recipe/options.js";
import { presets, roundingDefaults } from "../recipe/presets.js";
import { parseBytes } from "./parse-bytes.js";
import { isRecord, parseOptions, rejectUnknownKeys, type UntypedOptions } from "./parse-options.js";

export type { UntypedOptions } from "./parse-options.js";

const seed = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const path = z.string().min(1);

const compute = z.strictObject({
  dtype: z
    .enum(["auto", "float32", "bfloat16"])
    .default("auto")
    .describe(
      "arithmetic of the matrix products; auto is bfloat16 on a GPU, and on a CPU with AVX-512 BF16 or AMX; else float32",
    ),
  gradients: z
    .enum(["auto", "full", "fp8"])
    .default("auto")
    .describe(
      "products of the backward pass in windows: full, as the others are, or fp8; auto is fp8 where the GPU can, products are bfloat16 and the model is large (hidden size 4096)",
    ),
  threads: z
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe("CPU threads of one operator; null takes all cores, or OMP_NUM_THREADS"),
});

const streams = z.strictObject({
  storage: z
    .enum(["auto", "device", "host", "disk"])
    .default("auto")
    .describe("where the calibration activations wait between windows; auto takes the first that has room"),
});

/** Every option of `quantize`: types, defaults, ranges and help all come from here. */
export const runOptionsSchema = z.strictObject({
  model: path.describe(
    "model folder (config.json, tokenizer.json, safetensors), or owner/name on the Hugging Face Hub",
  ),
  scheme: z.string().min(1).describe("bits and group size: W2A16g64, W4A4, W8A8"),
  asym: z.boolean().default(false).describe("a zero point per group, instead of the symmetric full-range grid"),
  recipe: z.enum(recipeNames).default("cbq").describe("algorithm"),
  preset: z.enum(presetNames).default("default").describe("named set of values: what measures best, or the paper's"),
  calibration: z
    .array(path)
    .default([])
    .describe("text files or folders: .txt (a document each), .jsonl, .json, .parquet"),
  samples: z.int().min(1).default(128).describe("calibration windows"),
  context: z.int().min(2).default(2048).describe("tokens per window"),
  seed: seed.default(0).describe("seed of everything random"),
  deterministic: z
    .boolean()
    .default(false)
    .describe("the same codes whenever the same command runs, on a GPU too, interrupted or not"),
  out: path.describe("folder of the result"),
  format: z
    .array(z.enum(formatNames))
    .min(1)
    .default([primaryFormat])
    .describe(`formats to write: ${formatNames.join(", ")}; the first is always written, it is the result`),
  ...exportOptionsShape,
  device: z
    .string()
    .regex(/^(auto|cpu|cuda:\d+)$/, "is no device: cpu, cuda:0, or auto")
    .default("auto")
    .describe("cpu, cuda:0, or auto for the first GPU that libtorch sees, else the CPU"),
  maxMemory: z
    .string()
    .nullable()
    .default(null)
    .describe("most memory that the run may take on the device that computes: 6GB, 800MB; null takes what is free"),
  work: path
    .nullable()
    .default(null)
    .describe("folder that keeps finished windows, so that the same command continues; null is OUT.work"),
  fresh: z.boolean().default(false).describe("discard what an unfinished run left in the work folder"),
  force: z.boolean().default(false).describe("replace an output folder that crossblock did not write"),
  dryRun: z.boolean().default(false).describe("plan and stop: nothing is trained or written"),
  ...recipeOptionsShape,
  compute: compute.prefault({}),
  streams: streams.prefault({}),
});

/** Options of `quantize` as a caller writes them: everything with a default may be left out. */
export type RunOptionsInput = z.input<typeof runOptionsSchema>;

/** Resolved options, as they are recorded in `crossblock.json`. */
export type RunOptions = z.output<typeof runOptionsSchema>;

/**
 * Lays the given options over the rounding's and the preset's values and the schema's defaults,
 * and checks them; later sources win.
 *
 * @throws OptionError that names the key, and the nearest valid key or value.
 */
export function resolveOptions(...sources: readonly UntypedOptions[]): RunOptions {
  for (const source of sources) rejectUnknownKeys(runOptionsSchema, source);
  const given = sources.reduce(merge, {});
  const presetName = presetNames.find((name) => name === given["preset"]) ?? "default";
  const preset: RecipeOptionsInput = presets[presetName];
  const kind = kindOf(given) ?? preset.rounding?.kind ?? "code";
  const options = parseOptions(runOptionsSchema, merge(merge(roundingDefaults[kind], preset), given), given);
  checkTogether(options);
  return { ...options, format: withPrimary(options.format) };
}

/** The formats that will be written: each once, the primary one first, whether it was named or not. */
function withPrimary(formats: readonly FormatName[]): FormatName[] {
  return [...new Set([primaryFormat, ...formats])];
}

/** The part of resolved options that the algorithms see. */
export function recipeOptionsOf(options: RunOptions): RecipeOptions {
  const entries = Object.keys(recipeOptionsShape).map((key) => [key, options[key as keyof RunOptions]]);
  return recipeOptionsSchema.parse(Object.fromEntries(entries));
}

/** The scheme that resolved options name. */
export function schemeOf(options: RunOptions): Scheme {
  return parseScheme(options.scheme, { asym: options.asym });
}

function merge(under: UntypedOptions, over: UntypedOptions): UntypedOptions {
  const result: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const below = result[key];
    result[key] = isRecord(below) && isRecord(value) ? merge(below, value) : value;
  }
  return result;
}

function kindOf(given: UntypedOptions): (typeof roundingKinds)[number] | undefined {
  const rounding = given["rounding"];
  return isRecord(rounding) ? roundingKinds.find((kind) => kind === rounding["kind"]) : undefined;
}

function checkTogether(options: RunOptions): void {
  schemeOf(options);
  if (options.maxMemory !== null) parseBytes(options.maxMemory);
  assertUsed(options, options.format);
  const { size, overlap } = options.window;
  if (overlap >= size) {
    throw new OptionError({
      where: 'option "window.overlap"',
      what: `${overlap} is not smaller than window.size (${size}): the window would never move`,
      next: `try --set window.overlap=${size - 1}`,
    });
  }
  const staticInputs = options.activation.granularity === "tensor" && schemeOf(options).activationBits < 16;
  const needing =
    (options.recipe !== "rtn" && `recipe ${options.recipe}`) ||
    (staticInputs && "activation.granularity=tensor") ||
    (options.finish === "scales" && "--finish scales");
  if (needing !== false && options.calibration.length === 0 && !options.dryRun) {
    throw new OptionError({
      where: 'option "calibration"',
      what: `${needing} needs text to calibrate on`,
      next: "give --calibration PATH (.txt, .jsonl, .parquet or a folder of them), or use --recipe rtn",
    });
  }
}
