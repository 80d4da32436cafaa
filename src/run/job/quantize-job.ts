import { join } from "node:path";
import { writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import { withRevision } from "../../checkpoint/hub/hub-name.js";
import { primaryFormat } from "../../format/exporters.js";
import { trainedFolder } from "../../format/written-files.js";
import { DecoderNetwork } from "../../network/index.js";
import { packageVersion } from "../../package-version.js";
import { stagesOf, stageWindows } from "../../recipe/end-to-end/stages.js";
import { wantsFinish } from "../../recipe/end-to-end/windows.js";
import type { RecipeEvent, RecipeJob, RecipeReport } from "../../recipe/job/recipe-job.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import { runRecipe } from "../../recipe/job/run-recipe.js";
import { withTrainedModel } from "../../recipe/whole-model/after-training.js";
import { trainingParts } from "../../recipe/whole-model/whole-model-training.js";
import {
  DeterministicOperators,
  type Device,
  deviceMemory,
  engineInfo,
  MemoryLimit,
  setThreads,
  useOwnStream,
} from "../../tensor/index.js";
import { updateCard } from "../card/update-card.js";
import type { EngineCalls } from "../engine/engine-protocol.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { QuantizeEvent, WarningEvent } from "../events/events.js";
import { SCHEMA_VERSION } from "../events/run-started.js";
import { Timeline } from "../events/timeline.js";
import { fingerprintsOf } from "../journal/fingerprints.js";
import { Journal } from "../journal/journal.js";
import { planFile } from "../journal/work-directory.js";
import { resolveDevice } from "../machine/device.js";
import type { PlannedAllocation } from "../plan/allocation/planned-allocation.js";
import { needsTokens } from "../plan/plan.js";
import { writeReport } from "../report/write-report.js";
import { linearRecords } from "../result/linear-records.js";
import { writeResultRecord } from "../result/result-file.js";
import type { ResultRecord } from "../result/result-record.js";
import { resultSizes, type WrittenFormat } from "../result/sizes/result-sizes.js";
import { originOf, toldOptions, toldPlaces } from "../result/told/told-options.js";
import { withoutPaths } from "../result/told/told-paths.js";
import { resolveFolder } from "../source/resolve-folder.js";
import { allocationRecord, measureAllocation, type SharedBits, sharedBits } from "./allocation/share-bits.js";
import { checkRun } from "./check-run.js";
import { placeOf, type ResolvedRun, resolveRun } from "./resolve-run.js";
import { scoreRun } from "./score-run.js";
import { summarize } from "./summarize.js";
import { writeTrainedModel } from "./trained/write-trained-model.js";
import { type PlannedFormat, writeExport } from "./write-exports.js";

type Context = RequestContext<QuantizeEvent>;

/** Resolves, plans and checks a run; a dry run ends there. Then calibrates, quantizes and writes to the staging folder. */
export async function quantizeJob(
  { options: asked, given, folders, run: runId }: EngineCalls["quantize"]["parameters"],
  outer: Context,
): Promise<EngineCalls["quantize"]["result"]> {
  const timeline = new Timeline();
  const context = observed(outer, timeline);
  const device = resolveDevice(asked.device);
  const folder = await resolveFolder(withRevision(asked.model, asked.revision), context);
  if (asked.compute.threads !== null) setThreads(asked.compute.threads);
  // Before anything is multiplied: cuBLAS keeps a workspace for every stream that it saw.
  useOwnStream(device);
  using _operators = asked.deterministic ? new DeterministicOperators(device) : null;
  using run = await resolveRun({ options: asked, given }, folder, device);
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
      const blocks = trainingParts(recipe, recipeOptions) + recipe.windows(spec.blocks.length, recipeOptions).length;
      return blocks + stageWindows(stagesOf(recipe, { ...recipeOptions, finish }, needsTokens(options)));
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
  const parts = trainingParts(recipe, recipeOptions);
  timeline.begin(recipe.windows(spec.blocks.length, recipeOptions).length, parts);
  if (window > 0) context.emit({ event: "continued", window, windows: journal.windows, work: folders.work });
  // The same number of threads and sequences at once: other sums are rounded in another order.
  setThreads(journal.chosen.threads);
  const opened: RecipeJob = {
    checkpoint,
    network: new DecoderNetwork(spec),
    recipe,
    scheme,
    options: {
      ...recipeOptions,
      window: { ...recipeOptions.window, microBatch: journal.chosen.microBatch },
      finish: journal.chosen.finish,
    },
    ...(model.inputs !== null && { inputGrids: model.inputs.grids }),
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
  const shared = run.allocation === null ? null : shareBits(opened, run.allocation, journal, context);
  const job = shared === null ? opened : { ...opened, allocation: shared.bits };
  const report = runToEnd(job, journal, context);
  const { finished } = journal;
  const windows = finished.done;
  const summary = summarize(windows);
  context.emit(summary);
  const scored = await scoreRun(
    run,
    parts === 0 ? job : withTrainedModel(job),
    { calibration, identity, results: finished, work: folders.work },
    context,
  );
  if (scored.quality !== null) context.emit({ event: "quality", ...scored.quality });
  const source = finished.exportSource(checkpoint, { name, config: model.config, activations });
  const formats = shared === null ? run.planned : run.planFormats(shared.schemes);
  for (const each of formats) {
    const [target, shown] = [placeOf(folders.staging, each), placeOf(options.out, each)];
    await writeExport(each, source, { target, shown }, options, context);
  }
  if (parts > 0)
    await writeTrained(run, withTrainedModel(job), { staging: folders.staging, shown: options.out }, context);
  const sizes = await resultSizes(
    parts > 0 ? join(folders.staging, trainedFolder) : run.folder,
    formats.map(sizedFormat),
    folders.staging,
  );
  context.emit({ event: "sizes", ...sizes });
  const stages = timeline.stages(finished.records.slice(0, window));
  const record: ResultRecord = {
    schemaVersion: SCHEMA_VERSION,
    run: runId,
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
    options: toldOptions(run.decided),
    origin: await originOf(run.decided, folder),
    effort: plan.effort === null ? null : { name: plan.effort.name, chosen: plan.effort.chosen },
    engine: { torch: engineInfo().torchVersion, device, dtype, gradients, node: process.versions.node },
    calibration: calibration?.event ?? null,
    sizes,
    ...scored,
    activations:
      activations === null
        ? null
        : {
            bits: activations.bits,
            granularity: activations.granularity,
            simulated: plan.simulatedActivations,
            values: Object.fromEntries(finished.activations),
            ...(activations.zeroPoint !== undefined && { zeroPoints: Object.fromEntries(finished.zeroPoints) }),
          },
    windows: finished.records,
    timeline: stages,
    seconds: stages.reduce((sum, { seconds }) => sum + seconds, 0),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    linears: linearRecords({
      units: job.network.units,
      has: (module) => source.linears.has(module),
      read: (module) => finished.readPacked(module),
      errors: windows.flatMap(({ layers }) => layers),
      poll: context.poll,
    }),
    worstLayer: summary.worstLayer,
    census: plan.tensors,
    warnings: [...warnings, ...early, ...finished.warnings],
    copied: Object.fromEntries(copied),
    network: spec,
    fingerprints: await fingerprintsOf(
      source,
      (module) => finished.hashOf(module),
      [...new Set([...model.changed, ...finished.changed])].filter((name) => source.plain.has(name)),
      context.poll,
    ),
  };
  const work = { path: folders.work, told: "the work folder" };
  const places = [...toldPlaces(run.decided, folder), { path: folders.staging, told: "." }, work];
  const told = withoutPaths(record, places);
  await writeResultRecord(folders.staging, told);
  if (options.report) await writeReport(folders.staging, told, null);
  await updateCard(folders.staging);
  return report;
}

// With the ranges of its inputs, where the scheme has any.
async function writeTrained(
  { model, scheme }: ResolvedRun,
  { checkpoint, inputGrids }: RecipeJob,
  place: { readonly staging: string; readonly shown: string },
  context: Context,
): Promise<void> {
  const bits = scheme.activationBits;
  const inputs = bits === 16 || inputGrids === undefined ? null : { bits, grids: inputGrids };
  await writeTrainedModel({ checkpoint, config: model.config, inputs }, place, context);
}

// Sees every event on its way.
function observed(context: Context, timeline: Timeline): Context {
  return {
    ...context,
    emit(event) {
      timeline.observe(event);
      context.emit(event);
    },
  };
}

function sizedFormat(each: PlannedFormat): WrittenFormat {
  return { ...each, path: each.format === primaryFormat ? "." : each.path };
}

function runToEnd(job: RecipeJob, journal: Journal, { emit }: Context): RecipeReport {
  if (journal.isComplete) return { devicePeakBytes: deviceMemory(job.device)?.peak ?? null };
  const events = runRecipe(job);
  for (;;) {
    const next: IteratorResult<RecipeEvent, RecipeReport> = events.next();
    if (next.done === true) return next.value;
    journal.observe(next.value);
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
