import { join } from "node:path";
import { writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import { DecoderNetwork } from "../../network/index.js";
import { packageVersion } from "../../package-version.js";
import { finishEpochs, wantsFinish } from "../../recipe/end-to-end/windows.js";
import type { RecipeEvent, RecipeJob, RecipeReport } from "../../recipe/job/recipe-job.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import { runRecipe } from "../../recipe/job/run-recipe.js";
import {
  DeterministicOperators,
  type Device,
  deviceMemory,
  engineInfo,
  MemoryLimit,
  setThreads,
  useOwnStream,
} from "../../tensor/index.js";
import type { EngineCalls } from "../engine/engine-protocol.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { QuantizeEvent, ReportEvent, WarningEvent, WindowDoneEvent } from "../events/events.js";
import { fingerprintsOf } from "../journal/fingerprints.js";
import { Journal } from "../journal/journal.js";
import { planFile } from "../journal/work-directory.js";
import { resolveDevice } from "../machine/device.js";
import { needsTokens } from "../plan/plan.js";
import type { PlannedAllocation } from "../plan/planned-allocation.js";
import { writeResultRecord } from "../result/result-file.js";
import { resolveFolder } from "../source/resolve-folder.js";
import { checkRun } from "./check-run.js";
import { placeOf, resolveRun } from "./resolve-run.js";
import { allocationRecord, measureAllocation, type SharedBits, sharedBits } from "./share-bits.js";
import { writeExport } from "./write-exports.js";

type Context = RequestContext<QuantizeEvent>;

/** Resolves, plans and checks a run; a dry run ends there. Then calibrates, quantizes and writes to the staging folder. */
export async function quantizeJob(
  { options: given, folders }: EngineCalls["quantize"]["parameters"],
  context: Context,
): Promise<EngineCalls["quantize"]["result"]> {
  const device = resolveDevice(given.device);
  const folder = await resolveFolder(given.model, context);
  if (given.compute.threads !== null) setThreads(given.compute.threads);
  // Before anything is multiplied: cuBLAS keeps a workspace for every stream that it saw.
  useOwnStream(device);
  using _operators = given.deterministic ? new DeterministicOperators(device) : null;
  using run = await resolveRun(given, folder, device);
  const { options, recipeOptions, name, model, scheme, activations, dtype, gradients, fitted } = run;
  const { spec, checkpoint } = model;
  const recipe = recipeOf(options.recipe);
  const { plan, tensorBytes } = fitted;
  const { calibration, copied, identity, warnings } = await checkRun(run, context);
  if (folders === null) return { devicePeakBytes: null };
  using limit = tensorBytes === null ? null : MemoryLimit.set(device, tensorBytes);

  const early: WarningEvent[] = [];
  if (tensorBytes !== null && limit === null) early.push(unlimited(device));
  if (fitted.finish === "none" && wantsFinish(recipe, options)) early.push(unfinished(device));
  using journal = await Journal.open({
    folder: folders.work,
    identity,
    windows: ({ finish }) => {
      const blocks = recipe.windows(spec.blocks, recipeOptions).length;
      return blocks + finishEpochs(recipe, { ...recipeOptions, finish }, needsTokens(options));
    },
    choose: () => ({
      microBatch: fitted.microBatch,
      threads: engineInfo().threads,
      finish: fitted.finish,
    }),
    warn: (warning) => void early.push(warning),
    poll: context.poll,
  });
  for (const warning of early) context.emit(warning);
  await writeFileAtomically(join(folders.work, planFile), `${JSON.stringify(plan, null, 2)}\n`);
  const { window } = journal.resume;
  if (window > 0) context.emit({ event: "continued", window, windows: journal.windows, work: folders.work });
  // The same number of threads and sequences at once: other sums are rounded in another order.
  setThreads(journal.chosen.threads);
  const job: RecipeJob = {
    checkpoint,
    network: new DecoderNetwork(spec),
    recipe,
    scheme,
    options: {
      ...recipeOptions,
      window: { ...recipeOptions.window, microBatch: journal.chosen.microBatch },
      finish: journal.chosen.finish,
    },
    seed: options.seed,
    tokens: calibration?.tokens ?? null,
    device,
    dtype,
    gradients,
    storage: fitted.storage,
    scratch: folders.work,
    resume: journal.resume,
    results: journal.finished,
    poll: context.poll,
    sink: journal,
  };
  const shared = run.allocation === null ? null : shareBits(job, run.allocation, journal, context);
  const report = runToEnd(shared === null ? job : { ...job, allocation: shared.bits }, journal, context);
  const { finished } = journal;
  const windows = finished.done;
  const summary = summarize(windows);
  context.emit(summary);
  const source = finished.exportSource(checkpoint, { name, config: model.config, activations });
  for (const each of shared === null ? run.planned : run.planFormats(shared.schemes)) {
    const [target, shown] = [placeOf(folders.staging, each), placeOf(options.out, each)];
    await writeExport(each, source, { target, shown }, options, context);
  }
  await writeResultRecord(folders.staging, {
    name,
    version: packageVersion(),
    created: new Date().toISOString(),
    scheme: plan.scheme,
    symmetric: plan.symmetric,
    bitsPerWeight: shared?.event.bitsPerWeight ?? plan.bitsPerWeight,
    allocation: shared === null ? null : allocationRecord(shared.event),
    recipe: options.recipe,
    preset: options.preset,
    seed: options.seed,
    options: given,
    engine: { torch: engineInfo().torchVersion, device, dtype, gradients, node: process.versions.node },
    calibration: calibration?.event ?? null,
    activations:
      activations === null
        ? null
        : {
            bits: activations.bits,
            granularity: activations.granularity,
            simulated: plan.simulatedActivations,
            values: Object.fromEntries(finished.activations),
          },
    windows,
    worstLayer: summary.worstLayer,
    census: plan.tensors,
    warnings: [...warnings, ...early, ...finished.warnings],
    copied: Object.fromEntries(copied),
    network: spec,
    fingerprints: await fingerprintsOf(
      source,
      (module) => finished.hashOf(module),
      [...new Set([...model.changed, ...finished.changed])],
      context.poll,
    ),
  });
  return report;
}

function runToEnd(job: RecipeJob, journal: Journal, { emit }: Context): RecipeReport {
  if (journal.isComplete) return { devicePeakBytes: deviceMemory(job.device)?.peak ?? null };
  const events = runRecipe(job);
  for (;;) {
    const next: IteratorResult<RecipeEvent, RecipeReport> = events.next();
    if (next.done === true) return next.value;
    if (next.value.event === "warning") journal.warning(next.value);
    emit(next.value);
  }
}

// As an earlier process of the run shared them out, or anew: the same codes follow from either.
function shareBits(job: RecipeJob, planned: PlannedAllocation, journal: Journal, { emit }: Context): SharedBits {
  const shared = sharedBits(job, planned, journal.chosen.allocation ?? measureAllocation(job, planned, emit));
  const { bits, loss } = shared.event;
  if (journal.chosen.allocation === undefined) journal.chooseAllocation({ bits: { ...bits }, loss });
  emit(shared.event);
  return shared;
}

function unlimited(device: Device): WarningEvent {
  return {
    event: "warning",
    where: `device ${device}`,
    message: "--max-memory is kept by the plan alone: the addon was compiled without CUDA's headers",
    next: "install PyTorch from pip with its CUDA packages, so that memory beyond the budget is refused",
  };
}

function unfinished(device: Device): WarningEvent {
  return {
    event: "warning",
    where: `device ${device}`,
    message: "end-to-end training is left out: there is no room for the codes of all blocks at once",
    next: "nothing to do; a larger device or --max-memory brings it back, and --finish none asks for none",
  };
}

function summarize(windows: readonly WindowDoneEvent[]): ReportEvent {
  const layers = windows.flatMap((window) => window.layers);
  const worst = layers.reduce<ReportEvent["worstLayer"]>(
    (best, layer) => (best === null || layer.relativeError > best.relativeError ? layer : best),
    null,
  );
  const slowest = windows.reduce<WindowDoneEvent | null>(
    (best, window) => (best === null || window.seconds > best.seconds ? window : best),
    null,
  );
  return {
    event: "report",
    worstLayer: worst,
    slowestWindow:
      slowest === null ? null : { window: slowest.window, blocks: slowest.blocks, seconds: slowest.seconds },
  };
}
