import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { OptionError } from "../../errors.js";
import type { FormatName } from "../../format/exporters.js";
import { type LayerSchemes, resolveSchemes } from "../../recipe/job/layer-schemes.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import type { UntypedOptions } from "../../recipe/options/merge-options.js";
import type { RecipeOptions } from "../../recipe/options/recipe-options.js";
import type { GradientPrecision } from "../../reconstruct/quantized-layer.js";
import {
  type Device,
  deviceMemory,
  engineInfo,
  hasKernel,
  hasOperator,
  resetPeakMemory,
  scope,
  setThreads,
  Tensor,
} from "../../tensor/index.js";
import type { PlannedEffort } from "../events/planned-effort.js";
import { planFile, WorkDirectory } from "../journal/work-directory.js";
import { computeType } from "../machine/compute-type.js";
import { measureFlops, spareMemory } from "../machine/device.js";
import { readSystemFile } from "../machine/system-file.js";
import { type GivenOptions, type RunOptions, recipeOptionsOf, schemeOf } from "../options/options.js";
import { type PlannedAllocation, planAllocation } from "../plan/allocation/planned-allocation.js";
import type { FittedPlan } from "../plan/fit-memory.js";
import { type LinearPlan, linearPlans, withGroupBits } from "../plan/linear-plans.js";
import type { PlanFacts } from "../plan/plan.js";
import { decideEffort, namedEffort } from "../plan/time/decide-effort.js";
import { openSubject } from "./subject/open-subject.js";
import type { Subject, SubjectRun } from "./subject/subject.js";
import { type PlannedFormat, planExports } from "./write-exports.js";

/** A run whose every choice is made, before any weight or calibration data is read. */
export interface ResolvedRun extends SubjectRun, Disposable {
  /** With the values of its effort, and null or "auto" where a choice is left to the run. */
  readonly decided: GivenOptions;
  /** With "auto" where a continued run may decide it anew: part of the run's identity. */
  readonly asked: RunOptions;
  readonly recipeOptions: RecipeOptions;
  /** The model's folder or file. */
  readonly place: string;
  readonly subject: Subject;
  /** With a budget of bits, as they will be about: it is shared out once text is read. */
  readonly schemes: LayerSchemes;
  readonly allocation: PlannedAllocation | null;
  readonly gradients: GradientPrecision;
  readonly planned: readonly PlannedFormat[];
  /** Plans the formats anew with the schemes that Linears got in the end. */
  planFormats(schemes: LayerSchemes): readonly PlannedFormat[];
}

/**
 * Decides everything that a run leaves open and plans it; reads configuration and headers only.
 *
 * @throws ModelError, OptionError, FormatError for what can't be run, planned or written
 */
export async function resolveRun(
  { options: chosen, given: written }: { readonly options: GivenOptions; readonly given: UntypedOptions },
  place: string,
  device: Device,
): Promise<ResolvedRun> {
  const cpuinfo = await readSystemFile("/proc/cpuinfo");
  const dtype = computeType(chosen.compute.dtype, device, { cpuinfo, config: engineInfo().config });
  const scheme = schemeOf(chosen);
  const subject = await openSubject(chosen, written, place, { device, dtype, scheme });
  try {
    const { given, calibrationWhy: textWhy, maxPositions, context } = subject;
    const { units } = subject.network;
    const saved = given.time === null || given.fresh ? null : await savedPlan(given);
    // The text that was chosen counts as given: efforts say how much of it is taken.
    const withText = textWhy === null ? written : { ...written, calibration: given.calibration };
    const effortOf = { given: withText, options: given, device, maxPositions, context, saved };
    const first = namedEffort(effortOf).options;
    const { options: measured } = subject.settle(first);
    const gradients = measured.compute.gradients === "fp8" ? "fp8" : "full";
    const inGroups = (linears: readonly LinearPlan[]): readonly LinearPlan[] =>
      recipeOf(measured.recipe).bitsPerGroup === true ? linears.map(withGroupBits) : linears;
    const planFormats = (of: LayerSchemes): readonly PlannedFormat[] =>
      planExports(subject.plannedSource(inGroups(linearPlans(units, of))), measured.format, measured);
    const allocation = planAllocation(units, scheme, measured, planFormats);
    const schemes = allocation?.schemes ?? resolveSchemes(units, scheme, measured.overrides);
    checkSome(schemes, measured);
    if (measured.compute.threads !== null) setThreads(measured.compute.threads);
    // A product leaves its workspace on a GPU, which is read below, before larger ones are measured.
    measureFlops(device, dtype);
    const census = subject.census(linearPlans(units, schemes));
    const planned = planFormats(schemes);
    const exports = planned.map((each) => ({
      format: each.format,
      path: placeOf(measured.out, each, subject.primary),
      bytes: each.bytes,
    }));
    const baseBytes = process.memoryUsage.rss();
    const workspaceBytes = deviceMemory(device)?.used ?? 0;
    const speed = subject.speed(measured);
    const measuredBytes = process.memoryUsage.rss();
    resetPeakMemory(device);
    const machine = {
      ...{ allocation, scheme, schemes, exports, device, speed, census, textWhy },
      ...{ baseBytes, measuredBytes, workspaceBytes },
      kernels: scope(() => hasKernel("crossblock::code_unit_round", Tensor.zeros([1], { device }))),
      fusedAttention: hasOperator("aten::scaled_dot_product_attention"),
    };
    const spareBytes = spareMemory(device, given.deterministic);
    const fitTo = (each: GivenOptions, effort: PlannedEffort | null): FittedPlan =>
      subject.fit({ ...machine, options: subject.settle(each).options, effort }, spareBytes);
    const decided = decideEffort(effortOf, (each) => fitTo(each, null).plan.estimate.range);
    const { asked, options } = subject.settle(decided.options);
    const recipeOptions = recipeOptionsOf(options);
    const facts: PlanFacts = { ...machine, options, effort: decided.effort };
    const fitted = fitTo(decided.options, decided.effort);
    return {
      ...{ options, asked, recipeOptions, place, subject, scheme, schemes, allocation },
      ...{ device, dtype, gradients, planned, planFormats, fitted, facts },
      // As it was given: the same command chooses the same text.
      decided: { ...decided.options, calibration: chosen.calibration },
      [Symbol.dispose]: () => subject[Symbol.dispose](),
    };
  } catch (error) {
    subject[Symbol.dispose]();
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

/** Where an export of a run lies: the primary format is the result itself; the others are in folders below it. */
export function placeOf(
  out: string,
  { format, path }: Pick<PlannedFormat, "format" | "path">,
  primary: FormatName,
): string {
  return format === primary ? out : join(out, path);
}

// What holds no codes has no scheme that a reader of the result could find.
function checkSome(schemes: LayerSchemes, { overrides }: Pick<GivenOptions, "overrides">): void {
  if (!overrides.some(({ skip }) => skip === true) || [...schemes.values()].some((each) => each !== null)) return;
  throw new OptionError({
    where: "overrides",
    what: "leave every layer in full precision, so that nothing is quantized",
    next: 'give "skip" to fewer of them',
  });
}
