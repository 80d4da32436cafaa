import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { hubNameOf } from "../../checkpoint/hub/hub-name.js";
import { type ModelConfig, readModelConfig } from "../../checkpoint/model-config.js";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import type { FolderWeights } from "../../checkpoint/tensor-reader.js";
import { OptionError } from "../../errors.js";
import type { ActivationQuantization } from "../../format/contract/export-source.js";
import { withoutQuantization } from "../../format/dequantized/read-encoding.js";
import { primaryFormat } from "../../format/exporters.js";
import { decoderUnits, type UnitPlan } from "../../network/index.js";
import type { Scheme } from "../../quant/scheme.js";
import { type LayerSchemes, resolveSchemes } from "../../recipe/job/layer-schemes.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import type { UntypedOptions } from "../../recipe/options/merge-options.js";
import type { RecipeOptions } from "../../recipe/options/recipe-options.js";
import type { GradientPrecision } from "../../reconstruct/quantized-layer.js";
import {
  type Device,
  type DType,
  deviceMemory,
  engineInfo,
  hasKernel,
  hasOperator,
  resetPeakMemory,
  scope,
  setThreads,
  Tensor,
} from "../../tensor/index.js";
import { censusRecord } from "../events/census-record.js";
import type { PlannedEffort } from "../events/events.js";
import { planFile, WorkDirectory } from "../journal/work-directory.js";
import { computeType } from "../machine/compute-type.js";
import { measureFlops, spareMemory } from "../machine/device.js";
import { gradientPrecision } from "../machine/gradient-precision.js";
import { readSystemFile } from "../machine/system-file.js";
import { defaultContext, requireContextOption } from "../options/default-context.js";
import { type GivenOptions, type RunOptions, recipeOptionsOf, schemeOf } from "../options/options.js";
import { withDefaultText } from "../options/text/default-text.js";
import { type PlannedAllocation, planAllocation } from "../plan/allocation/planned-allocation.js";
import { type FittedPlan, fitMemory } from "../plan/fit-memory.js";
import { type LinearPlan, linearPlans, withGroupBits } from "../plan/linear-plans.js";
import type { PlanInput } from "../plan/plan.js";
import { plannedSource } from "../plan/planned-source.js";
import { decideEffort, namedEffort } from "../plan/time/decide-effort.js";
import { measureSpeed } from "../plan/time/measure-speed.js";
import { type ModelToQuantize, modelToQuantize } from "../source/model-to-quantize.js";
import { refuseResult } from "../source/quantized-source.js";
import { openWeights } from "../source/trained/open-weights.js";
import { type PlannedFormat, planExports } from "./write-exports.js";

/** A run whose every choice is made, before any weight or text is read. */
export interface ResolvedRun extends Disposable {
  /** With the values of its effort, and null or "auto" where a choice is left to the run. */
  readonly decided: GivenOptions;
  /** With what "auto" and null came to. */
  readonly options: RunOptions;
  /** The same with "auto" where a continued run may decide it anew: part of the run's identity. */
  readonly asked: RunOptions;
  readonly recipeOptions: RecipeOptions;
  /** The model's folder, and its name in files and metadata. */
  readonly folder: string;
  readonly name: string;
  /** `config.json`, of weights in floating point. */
  readonly config: ModelConfig;
  readonly original: FolderWeights;
  readonly model: ModelToQuantize;
  readonly scheme: Scheme;
  /** With a budget of bits, as they will be about: it is shared out once text is read. */
  readonly schemes: LayerSchemes;
  readonly allocation: PlannedAllocation | null;
  readonly activations: ActivationQuantization | null;
  readonly device: Device;
  readonly dtype: RunOptions["compute"]["dtype"] & DType;
  readonly gradients: GradientPrecision;
  readonly planned: readonly PlannedFormat[];
  /** Plans the formats anew with the schemes that Linears got in the end. */
  planFormats(schemes: LayerSchemes): readonly PlannedFormat[];
  readonly fitted: FittedPlan;
  /** Why the run calibrates on the text that it does, where that was not asked for. */
  readonly textWhy: string | null;
  /** What the plan is made of. */
  readonly known: PlanInput;
}

/**
 * Decides everything that a run leaves open and plans it; reads configuration and headers only.
 *
 * @throws ModelError, OptionError, FormatError for what can't be run, planned or written
 */
export async function resolveRun(
  { options: chosen, given: written }: { readonly options: GivenOptions; readonly given: UntypedOptions },
  folder: string,
  device: Device,
): Promise<ResolvedRun> {
  const cpuinfo = await readSystemFile("/proc/cpuinfo");
  const dtype = computeType(chosen.compute.dtype, device, { cpuinfo, config: engineInfo().config });
  const stored = await readModelConfig(folder);
  refuseResult(folder, stored);
  const config = withoutQuantization(stored);
  const hasTokenizer = ModelFolder.open(folder).has("tokenizer.json");
  const { options: given, why: textWhy } = withDefaultText(chosen, schemeOf(chosen), hasTokenizer);
  const name = basename(hubNameOf(given.model)?.name ?? resolve(folder));
  const scheme = schemeOf(given);
  const original = await openWeights(folder, stored, given);
  let model: ModelToQuantize | null = null;
  try {
    model = modelToQuantize(original, config, scheme, given);
    const activations = activationsOf(scheme, given, model.inputs);
    const { spec, checkpoint, rotation } = model;
    const context = defaultContext(spec);
    const settle = (each: GivenOptions): Pick<ResolvedRun, "asked" | "options"> => {
      const asked = { ...each, context: each.context ?? context, compute: { ...each.compute, dtype } };
      requireContextOption(asked.context, spec);
      const gradients = gradientPrecision(asked, spec, device);
      return { asked, options: { ...asked, rotation, compute: { ...asked.compute, gradients } } };
    };
    const { maxPositions } = spec;
    const saved = given.time === null || given.fresh ? null : await savedPlan(given);
    // The text that was chosen counts as given: efforts say how much of it is taken.
    const withText = textWhy === null ? written : { ...written, calibration: given.calibration };
    const effortOf = { given: withText, options: given, device, maxPositions, context, saved };
    const first = namedEffort(effortOf).options;
    const { options: measured } = settle(first);
    const gradients = measured.compute.gradients === "fp8" ? "fp8" : "full";
    const units = decoderUnits(spec);
    requireNoExperts(measured, units);
    const inGroups = (linears: readonly LinearPlan[]): readonly LinearPlan[] =>
      recipeOf(measured.recipe).bitsPerGroup === true ? linears.map(withGroupBits) : linears;
    const source = { name, config: model.config, activations };
    const planFormats = (of: LayerSchemes): readonly PlannedFormat[] =>
      planExports(plannedSource(inGroups(linearPlans(units, of)), checkpoint, source), measured.format, measured);
    const allocation = planAllocation(units, scheme, measured, planFormats);
    const schemes = allocation?.schemes ?? resolveSchemes(units, scheme, measured.overrides);
    if (measured.compute.threads !== null) setThreads(measured.compute.threads);
    // A product leaves its workspace on a GPU, which is read below, before larger ones are measured.
    measureFlops(device, dtype);
    const linears = linearPlans(units, schemes);
    const census = censusRecord(
      model.census,
      linears.map((linear) => linear.name),
      original.encoding,
    );
    const planned = planFormats(schemes);
    const exports = planned.map((each) => ({
      format: each.format,
      path: placeOf(measured.out, each),
      bytes: each.bytes,
    }));
    const baseBytes = process.memoryUsage.rss();
    const workspaceBytes = deviceMemory(device)?.used ?? 0;
    const speed = measureSpeed({ options: measured, scheme, spec, device, dtype, scratch: tmpdir() });
    resetPeakMemory(device);
    const machine = {
      ...{
        allocation,
        scheme,
        spec,
        schemes,
        activations,
        checkpoint,
        exports,
        device,
        speed,
        census,
        baseBytes,
        workspaceBytes,
        textWhy,
      },
      kernels: scope(() => hasKernel("crossblock::code_unit_round", Tensor.zeros([1], { device }))),
      fusedAttention: hasOperator("aten::scaled_dot_product_attention"),
    };
    const spareBytes = spareMemory(device, given.deterministic);
    const fitTo = (each: GivenOptions, effort: PlannedEffort | null): FittedPlan =>
      fitMemory({ ...machine, options: settle(each).options, effort, spareBytes });
    const decided = decideEffort(effortOf, (each) => fitTo(each, null).plan.estimate.range);
    const { asked, options } = settle(decided.options);
    const recipeOptions = recipeOptionsOf(options);
    const known: PlanInput = { ...machine, options, effort: decided.effort };
    const fitted = fitTo(decided.options, decided.effort);
    const opened = model;
    return {
      ...{ options, asked, recipeOptions, folder, name, config, original, model, scheme, schemes, allocation },
      ...{ activations, device, dtype, gradients, planned, planFormats, fitted, known, textWhy },
      // As it was given: the same command chooses the same text.
      decided: { ...decided.options, calibration: chosen.calibration },
      [Symbol.dispose]: () => {
        opened[Symbol.dispose]();
        original.close();
      },
    };
  } catch (error) {
    model?.[Symbol.dispose]();
    original.close();
    throw error;
  }
}

// The plan of an earlier session, whatever it holds; null where there is none.
async function savedPlan(options: GivenOptions): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(WorkDirectory.pathOf(options), planFile), "utf8"));
  } catch {
    return null;
  }
}

function activationsOf(
  scheme: Scheme,
  options: GivenOptions,
  stored: ModelToQuantize["inputs"],
): ActivationQuantization | null {
  if (scheme.activationBits === 16) return null;
  const { granularity } = options.activation;
  const activations = { bits: scheme.activationBits, granularity, dynamic: granularity === "token" };
  const training = recipeOf(options.recipe).wholeModel?.(recipeOptionsOf(options));
  if (training !== undefined) return { ...activations, zeroPoint: training.aligned ? "integer" : "fraction" };
  if (stored === null) return activations;
  const whole = [...stored.grids.values()].every(({ zeroPoint }) => Number.isInteger(zeroPoint));
  return { ...activations, zeroPoint: whole ? "integer" : "fraction" };
}

/** Where an export of a run lies: the primary format is the result itself; the others are in folders below it. */
export function placeOf(out: string, { format, path }: Pick<PlannedFormat, "format" | "path">): string {
  return format === primaryFormat ? out : join(out, path);
}

function requireNoExperts({ recipe }: GivenOptions, units: readonly UnitPlan[]): void {
  const { withoutExperts } = recipeOf(recipe);
  if (withoutExperts === undefined) return;
  if (!units.some(({ layers }) => layers.some(({ experts }) => experts !== undefined))) return;
  throw new OptionError({ where: "--recipe", what: `${recipe} ${withoutExperts}`, next: "use --recipe gptq or cbq" });
}
