import { join } from "node:path";
import { writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import { withRevision } from "../../checkpoint/hub/hub-name.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { trainedFolder } from "../../format/written-files.js";
import { requireFamily } from "../../network/index.js";
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
import type { OutputsEvent, QualityEvent, QuantizeEvent, WarningEvent } from "../events/events.js";
import { SCHEMA_VERSION } from "../events/run-started.js";
import { Timeline } from "../events/timeline.js";
import { fingerprintsOf } from "../journal/fingerprints.js";
import { Journal } from "../journal/journal.js";
import { planFile } from "../journal/work-directory.js";
import { resolveDevice } from "../machine/device.js";
import { isGraph } from "../options/graph/is-graph.js";
import type { PlannedAllocation } from "../plan/allocation/planned-allocation.js";
import { needsTokens } from "../plan/plan.js";
import { writeReport } from "../report/write-report.js";
import { linearRecords } from "../result/linear-records.js";
import { writeResultRecord } from "../result/result-file.js";
import { isOfText } from "../result/result-quality.js";
import type { ResultQuality, ResultRecord } from "../result/result-record.js";
import { resultSizes, weightBytes } from "../result/sizes/result-sizes.js";
import { originOf, toldOptions, toldPlaces } from "../result/told/told-options.js";
import { withoutPaths } from "../result/told/told-paths.js";
import { resolveFolder } from "../source/resolve-folder.js";
import { allocationRecord, measureAllocation, type SharedBits, sharedBits } from "./allocation/share-bits.js";
import { checkRun } from "./check-run.js";
import { placeOf, resolveRun } from "./resolve-run.js";
import { summarize } from "./summarize.js";
import { writeExport } from "./write-exports.js";

type Context = RequestContext<QuantizeEvent>;

/** Resolves, plans and checks a run; a dry run ends there. Then calibrates, quantizes and writes to the staging folder. */
export async function quantizeJob(
  { options: asked, given, folders, run: runId }: EngineCalls["quantize"]["parameters"],
  outer: Context,
): Promise<EngineCalls["quantize"]["result"]> {
  const timeline = new Timeline();
  const context = observed(outer, timeline);
  const device = resolveDevice(asked.device);
  const place = isGraph(asked)
    ? asked.model
    : await resolveFolder(withRevision(asked.model, asked.revision), context, {
        beforeWeights: async (folder) => void requireFamily(await readModelConfig(folder)),
      });
  if (asked.compute.threads !== null) setThreads(asked.compute.threads);
  // Before anything is multiplied: cuBLAS keeps a workspace for every stream that it saw.
  useOwnStream(device);
  using _operators = asked.deterministic ? new DeterministicOperators(device) : null;
  using run = await resolveRun({ options: asked, given }, place, device);
  const { options, recipeOptions, subject, scheme, dtype, gradients, fitted } = run;
  const { name, checkpoint, network, activations, inputGrids, primary } = subject;
  const { units } = network;
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
      const blocks = trainingParts(recipe, recipeOptions) + recipe.windows(units.length, recipeOptions).length;
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
  timeline.begin(recipe.windows(units.length, recipeOptions).length, parts);
  if (window > 0) context.emit({ event: "continued", window, windows: journal.windows, work: folders.work });
  // The same number of threads and sequences at once: other sums are rounded in another order.
  setThreads(journal.chosen.threads);
  const opened: RecipeJob = {
    checkpoint,
    network,
    recipe,
    scheme,
    options: {
      ...recipeOptions,
      window: { ...recipeOptions.window, microBatch: journal.chosen.microBatch },
      finish: journal.chosen.finish,
    },
    ...(inputGrids !== undefined && { inputGrids }),
    ...(subject.timeInput !== undefined && { timeInput: subject.timeInput }),
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
  const trained = parts === 0 ? job : withTrainedModel(job);
  const done = { calibration, identity, results: finished, work: folders.work };
  const scored = await subject.score(run, trained, done, context);
  if (scored.quality !== null) context.emit(scoreEvent(scored.quality));
  await subject.writeSamples(run, trained, done);
  const source = subject.source(finished);
  const formats = shared === null ? run.planned : run.planFormats(shared.schemes);
  for (const each of formats) {
    const [target, shown] = [placeOf(folders.staging, each, primary), placeOf(options.out, each, primary)];
    await writeExport(each, source, { target, shown }, options, context);
  }
  if (parts > 0) await subject.writeTrained(trained, { staging: folders.staging, shown: options.out }, context);
  const sizes = await resultSizes(
    await (parts > 0 ? weightBytes(join(folders.staging, trainedFolder)) : subject.sourceBytes()),
    formats.map((each) => ({ ...each, path: each.format === primary ? "." : each.path })),
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
    origin: await originOf(run.decided, place),
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
      units,
      has: (module) => source.linears.has(module),
      read: (module) => finished.readPacked(module),
      errors: windows.flatMap(({ layers }) => layers),
      poll: context.poll,
    }),
    worstLayer: summary.worstLayer,
    census: plan.tensors,
    warnings: [...warnings, ...early, ...finished.warnings],
    copied: Object.fromEntries(copied),
    network: subject.record,
    fingerprints: await fingerprintsOf(
      source,
      (module) => finished.hashOf(module),
      [...new Set([...subject.changed, ...finished.changed])].filter((name) => source.plain.has(name)),
      context.poll,
    ),
  };
  const work = { path: folders.work, told: "the work folder" };
  const places = [...toldPlaces(run.decided, place), { path: folders.staging, told: "." }, work];
  const told = withoutPaths(record, places);
  await writeResultRecord(folders.staging, told);
  if (options.report) await writeReport(folders.staging, told, null);
  await updateCard(folders.staging);
  return report;
}

function scoreEvent(quality: NonNullable<ResultQuality>): QualityEvent | OutputsEvent {
  return isOfText(quality) ? { event: "quality", ...quality } : { event: "outputs", ...quality };
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
