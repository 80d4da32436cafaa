import { z } from "zod";
import { OptionError } from "../../errors.js";
import { assertUsed, exportOptionsShape } from "../../format/contract/export-options.js";
import { type FormatName, formatNames, primaryFormat } from "../../format/exporters.js";
import { parseScheme, type Scheme, type SchemeName, schemeName, WEIGHT_BITS } from "../../quant/scheme.js";
import { wantsFinish } from "../../recipe/end-to-end/windows.js";
import { defaultRecipe, type RecipeName, recipeNames, recipeOf } from "../../recipe/job/recipe-names.js";
import { effortNames } from "../../recipe/options/efforts.js";
import { mergeOptions } from "../../recipe/options/merge-options.js";
import { declares } from "../../recipe/options/option-readers.js";
import { defaultPreset, presetNames } from "../../recipe/options/presets.js";
import { type RecipeOptions, recipeOptionsShape } from "../../recipe/options/recipe-options.js";
import { defaultsBelow } from "../../recipe/options/resolve-recipe-options.js";
import { calibrationOption, checkCalibration, generationOptions } from "./calibration-option.js";
import { DEFAULT_CONTEXT } from "./default-context.js";
import { effortNamed, effortValues } from "./effort/efforts.js";
import { assertForGraph, graphDefaults } from "./graph/graph-options.js";
import { imageOptions } from "./graph/image-options.js";
import { graphFormat, isGraph } from "./graph/is-graph.js";
import { samplerOption, samplingOptions, stepsOption } from "./graph/sampler-options.js";
import { assertRead, readerContext } from "./option-use.js";
import { oneOrMany } from "./parse/one-or-many.js";
import { parseBytes } from "./parse/parse-bytes.js";
import { parseDuration } from "./parse/parse-duration.js";
import { parseOptions, rejectUnknownKeys, type UntypedOptions } from "./parse/parse-options.js";
import { pathOption } from "./parse/path-option.js";
import { revisionOption } from "./parse/revision-option.js";

export type { UntypedOptions } from "./parse/parse-options.js";

const seed = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

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
  model: pathOption.describe(
    "model folder (config.json, tokenizer.json, safetensors), owner/name on the Hugging Face Hub, or an ONNX file of any network",
  ),
  revision: revisionOption,
  scheme: (z.string().min(1) as z.ZodType<SchemeName, SchemeName>).describe(
    "W<bits>A<bits>[g<columns>]: bits of the weights (2, 3, 4, 5, 6, 8) and of the inputs (4, 8, 16; 16 leaves them), columns that share a scale (without g a whole row): W4A16g64, W2A16g128, W4A4",
  ),
  asym: z.boolean().default(false).describe("a zero point per group, instead of the symmetric full-range grid"),
  recipe: z
    .enum(recipeNames)
    .default(defaultRecipe)
    .describe("method that chooses the codes; `crossblock recipes` says what each is for"),
  preset: z
    .enum(presetNames)
    .default(defaultPreset)
    .describe("values that lie over the defaults: default, what measures best; paper, what the recipe's paper has"),
  effort: z
    .enum(effortNames)
    .nullable()
    .default(null)
    .describe(
      "how much is trained, on how much text, where nothing else says it; null is normal on a GPU or with another preset, and quick on a CPU",
    ),
  time: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("time that the run may take, 20min or 1h30: as much is trained as fits, in place of an effort"),
  calibration: calibrationOption,
  samples: z.int().min(1).default(128).describe("calibration sequences"),
  context: z
    .int()
    .min(2)
    .nullable()
    .default(null)
    .describe(`tokens per sequence; null takes ${DEFAULT_CONTEXT}, or the longest that the model was made for`),
  selfGenerated: generationOptions,
  images: imageOptions,
  sampler: samplerOption,
  steps: stepsOption,
  sampling: samplingOptions,
  seed: seed.default(0).describe("seed of everything random"),
  deterministic: z
    .boolean()
    .default(false)
    .describe("the same codes whenever the same command runs, on a GPU too, interrupted or not"),
  out: pathOption.describe("folder of the result"),
  format: oneOrMany(z.enum(formatNames), { least: 1 })
    .default([primaryFormat])
    .describe(`formats to write, one or several; ${primaryFormat} is always written, it is the result`),
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
  work: pathOption
    .nullable()
    .default(null)
    .describe("folder that keeps finished windows, so that the same command continues; null is OUT.work"),
  fresh: z.boolean().default(false).describe("discard what an unfinished run left in the work folder"),
  force: z
    .boolean()
    .default(false)
    .describe("replace a finished result; what else lies in the output folder is moved to OUT.old-DATE"),
  score: z
    .boolean()
    .default(true)
    .describe("do not score source, result and round to nearest on text that was held out"),
  samplesGrid: pathOption
    .nullable()
    .default(null)
    .describe(
      "PNG of samples from the same noise: full precision, round to nearest, and the result, a row each (with --sampler)",
    ),
  report: z.boolean().default(true).describe("do not write report.html beside the result"),
  dryRun: z.boolean().default(false).describe("plan, make all checks and stop: nothing is trained or written"),
  ...recipeOptionsShape,
  compute: compute.prefault({}).describe("in which arithmetic and on how many threads the run computes"),
  streams: streams.prefault({}).describe("where activations wait between windows"),
});

/** Options of `quantize` as a caller writes them: everything with a default may be left out. */
export type RunOptionsInput = z.input<typeof runOptionsSchema>;

/** Options with all defaults, as they are recorded in `crossblock.json`; null and "auto" leave a choice to the run. */
export type GivenOptions = z.output<typeof runOptionsSchema>;

/** The same once the model is known: every sequence has its length. */
export type RunOptions = GivenOptions & { readonly context: number };

/**
 * Lays the given options over the defaults and checks them; later sources win. Without an effort they are those of `normal`,
 * until the device is known.
 *
 * @throws OptionError that names the key, and the nearest valid key or value; also for an option that the recipe would
 *   not read
 */
export function resolveOptions(...sources: readonly UntypedOptions[]): GivenOptions {
  for (const source of sources) rejectUnknownKeys(runOptionsSchema, source);
  const given = mergeOptions(...sources);
  const effort = effortNamed(given["effort"]);
  return resolveOver(effort === null ? {} : effortValues(effort, recipeIn(given), given), given);
}

/**
 * The same with what an effort sets (`values`): it lies over the preset and under what is given.
 *
 * @throws OptionError
 */
export function resolveOver(values: UntypedOptions, given: UntypedOptions): GivenOptions {
  const recipe = recipeIn(given);
  const preset = presetNames.find((name) => name === given["preset"]) ?? defaultPreset;
  const ofGraph = isGraph(given) ? graphDefaults : {};
  const below = mergeOptions(defaultsBelow(mergeOptions(values, given), { recipe, preset }), ofGraph, values);
  const options = parseOptions(runOptionsSchema, mergeOptions(below, given), given);
  const scheme = schemeOf(options);
  assertRead(given, readerContext(options, scheme), preset);
  assertUsed(given, options.format);
  if (isGraph(options)) assertForGraph(given, options);
  checkTogether(options);
  return { ...options, format: withPrimary(options) };
}

/** The recipe that options name, or the one that counts without; what is no recipe at all is refused when they are parsed. */
export function recipeIn(given: UntypedOptions): RecipeName {
  return recipeNames.find((name) => name === given["recipe"]) ?? defaultRecipe;
}

/** The formats that will be written: each once, the primary one first, whether it was named or not. */
function withPrimary(options: GivenOptions): FormatName[] {
  return [...new Set([isGraph(options) ? graphFormat : primaryFormat, ...options.format])];
}

/** The part of resolved options that the algorithms see. */
export function recipeOptionsOf(options: GivenOptions): RecipeOptions {
  const entries = Object.entries(options).filter(([name]) => Object.hasOwn(recipeOptionsShape, name));
  return Object.fromEntries(entries) as unknown as RecipeOptions;
}

/** The scheme that resolved options name. */
export function schemeOf(options: GivenOptions): Scheme {
  return parseScheme(options.scheme, { asym: options.asym });
}

function checkTogether(options: GivenOptions): void {
  if (options.maxMemory !== null) parseBytes(options.maxMemory);
  if (options.time !== null) checkTime(options.time, options.effort);
  // Windows that would never move are an error for any network.
  const recipe = recipeOf(options.recipe);
  recipe.windows(1, options);
  recipe.check?.(options, schemeOf(options));
  checkCalibration(options);
  checkMicroBatch(options);
  checkOverrides(options);
  checkBudget(options, schemeOf(options));
}

function checkTime(time: string, effort: GivenOptions["effort"]): void {
  parseDuration(time);
  if (effort === null) return;
  throw new OptionError({
    where: 'option "time"',
    what: `it chooses what is trained, and so does --effort ${effort}`,
    next: "leave out --effort, or leave out --time",
  });
}

function checkMicroBatch({ recipe: name, window, endToEnd, finish }: GivenOptions): void {
  const recipe = recipeOf(name);
  const steps = [window.batch, ...(wantsFinish(recipe, { finish }) ? [endToEnd.batch] : [])];
  const most = Math.max(...steps);
  if (!declares(recipe, "window.batch") || window.microBatch === null || window.microBatch <= most) return;
  throw new OptionError({
    where: 'option "window.microBatch"',
    what: `${window.microBatch} sequences at once are more than a step has (${most})`,
    next: `use --set window.microBatch=${most} or less, or a larger window.batch`,
  });
}

// The scheme's bits are those of no Linear then; they have to say the same as the budget all the same.
function checkBudget({ bitsBudget }: GivenOptions, scheme: Scheme): void {
  if (bitsBudget === null) return;
  const above = WEIGHT_BITS.find((bits) => bits >= bitsBudget) ?? 8;
  if (scheme.bits === above) return;
  throw new OptionError({
    where: 'option "scheme"',
    what: `a mean of ${bitsBudget} bits is shared out, and ${schemeName(scheme)} says ${scheme.bits}`,
    next: `use --scheme ${schemeName({ ...scheme, bits: above })}, the width at or above the budget`,
  });
}

function checkOverrides({ overrides }: GivenOptions): void {
  for (const [i, { pattern, skip, bits, group }] of overrides.entries()) {
    if (skip !== true || (bits === undefined && group === undefined)) continue;
    throw new OptionError({
      where: `option "overrides.${i}"`,
      what: `"${pattern}" is left in the source precision (skip), and has ${bits === undefined ? "a group" : "bits"} all the same`,
      next: "leave out skip, or leave out bits and group",
    });
  }
}
