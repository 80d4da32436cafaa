import { basename, join, resolve } from "node:path";
import { sampleWindows, windowsFingerprint } from "../calibration/token-windows.js";
import { Checkpoint } from "../checkpoint/checkpoint.js";
import { readModelConfig } from "../checkpoint/model-config.js";
import { writeFileAtomically } from "../checkpoint/write-file-atomically.js";
import { ModelError } from "../errors.js";
import type { ActivationQuantization } from "../format/export-source.js";
import { primaryFormat } from "../format/exporters.js";
import type { DecoderSpec } from "../model/index.js";
import { packageVersion } from "../package-version.js";
import type { Scheme } from "../quant/scheme.js";
import { resolveSchemes } from "../recipe/layer-schemes.js";
import type { CalibrationTokens, RecipeEvent, RecipeJob, RecipeReport } from "../recipe/recipe-job.js";
import { runRecipe } from "../recipe/run-recipe.js";
import { blockWindows, finishEpochs, wantsFinish } from "../recipe/windows.js";
import {
  DeterministicOperators,
  type Device,
  deviceMemory,
  engineInfo,
  hasKernel,
  hasOperator,
  MemoryLimit,
  resetPeakMemory,
  scope,
  setThreads,
  Tensor,
  useOwnStream,
} from "../tensor/index.js";
import type { GradientPrecision } from "../window/quantized-layer.js";
import { checkWeights } from "./check-weights.js";
import { computeType } from "./compute-type.js";
import { cpuCapability } from "./cpu-capability.js";
import { measureFlops, resolveDevice, spareMemory } from "./device.js";
import type { EngineCalls } from "./engine-protocol.js";
import type { CalibrateEvent, QuantizeEvent, ReportEvent, WarningEvent, WindowDoneEvent } from "./events.js";
import { fingerprintsOf } from "./fingerprints.js";
import { fitMemory } from "./fit-memory.js";
import { gradientPrecision } from "./gradient-precision.js";
import { Journal } from "./journal.js";
import { linearPlans } from "./linear-plans.js";
import { modelToQuantize } from "./model-to-quantize.js";
import { type RunOptions, recipeOptionsOf, schemeOf } from "./options.js";
import { needsTokens } from "./plan.js";
import { plannedSource } from "./planned-source.js";
import { openTokenizer, readTokens } from "./read-tokens.js";
import { resolveFolder } from "./resolve-folder.js";
import { type EngineRecord, writeResultRecord } from "./result-file.js";
import { identityOf } from "./run-identity.js";
import type { RequestContext } from "./serve-requests.js";
import { readSystemFile } from "./system-file.js";
import { planFile } from "./work-directory.js";
import { type PlannedFormat, planExports, writeExport } from "./write-exports.js";

type Context = RequestContext<QuantizeEvent>;

/** Reads the model, plans, calibrates, quantizes and writes to the staging folder; a dry run ends with the plan. */
export async function quantizeJob(
  { options: given, folders }: EngineCalls["quantize"]["parameters"],
  context: Context,
): Promise<EngineCalls["quantize"]["result"]> {
  const device = resolveDevice(given.device);
  const cpuinfo = await readSystemFile("/proc/cpuinfo");
  const dtype = computeType(given.compute.dtype, device, { cpuinfo, config: engineInfo().config });
  const options: RunOptions = { ...given, compute: { ...given.compute, dtype } };
  const folder = await resolveFolder(options.model, context);
  const config = await readModelConfig(folder);
  if (config["quantization_config"] !== undefined) {
    throw new ModelError({
      where: `${folder}/config.json`,
      what: "the model is quantized already",
      next: "give the folder of the unquantized model",
    });
  }
  const name = basename(folder === options.model ? resolve(folder) : options.model);
  const scheme = schemeOf(options);
  const activations = activationsOf(scheme, options);
  using original = await Checkpoint.open(folder);
  using model = modelToQuantize(original, config, scheme, options);
  const { spec, checkpoint } = model;
  const gradients = gradientPrecision(options, spec, device);
  const chosen: RunOptions = { ...options, rotation: model.rotation, compute: { ...options.compute, gradients } };
  const recipeOptions = recipeOptionsOf(chosen);
  const schemes = resolveSchemes(spec, scheme, recipeOptions.overrides);
  if (options.compute.threads !== null) setThreads(options.compute.threads);
  // Before anything is multiplied: cuBLAS keeps a workspace for every stream that it saw.
  useOwnStream(device);
  using _operators = options.deterministic ? new DeterministicOperators(device) : null;
  const flops = measureFlops(device, dtype);
  resetPeakMemory(device);
  const planned = planExports(
    plannedSource(linearPlans(spec, schemes), checkpoint, { name, config: model.config, activations }),
    options.format,
    options,
  );
  const exports = planned.map(({ format, path, bytes }) => ({
    format,
    path: placeOf(options.out, { format, path }),
    bytes,
  }));
  const kernels = scope(() => hasKernel("crossblock::code_unit_round", Tensor.zeros([1], { device })));
  const fusedAttention = hasOperator("aten::scaled_dot_product_attention");
  const baseBytes = process.memoryUsage.rss();
  const known = { options: chosen, scheme, spec, schemes, activations, checkpoint, exports, device, flops };
  const workspaceBytes = deviceMemory(device)?.used ?? 0;
  const spareBytes = spareMemory(device, options.deterministic);
  const fitted = fitMemory({ ...known, kernels, fusedAttention, baseBytes, workspaceBytes, spareBytes });
  const { plan, tensorBytes } = fitted;
  context.emit(plan);
  if (folders === null) return { devicePeakBytes: null };
  using limit = tensorBytes === null ? null : MemoryLimit.set(device, tensorBytes);

  const weightsHash = checkWeights(original, config, context);
  const calibration = needsTokens(options) ? await calibrate(options, folder, spec, context) : null;
  if (calibration !== null) context.emit(calibration.event);
  const early: WarningEvent[] = [];
  if (tensorBytes !== null && limit === null) early.push(unlimited(device));
  if (fitted.finish === "none" && wantsFinish(options.recipe, options)) early.push(unfinished(device));
  const parts = {
    model: weightsHash,
    tokenizer: calibration?.tokenizer ?? null,
    calibration: calibration?.event.hash ?? null,
    version: packageVersion(),
    engine: engineName(device),
  };
  using journal = await Journal.open({
    folder: folders.work,
    identity: identityOf(parts, options),
    windows: ({ finish }) => {
      const blocks = blockWindows(options.recipe, recipeOptions, spec.blocks).length;
      return blocks + finishEpochs(options.recipe, { ...recipeOptions, finish }, needsTokens(options));
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
  const report = runToEnd(
    {
      checkpoint,
      spec,
      recipe: options.recipe,
      scheme,
      options: {
        ...recipeOptions,
        window: { ...recipeOptions.window, microBatch: journal.chosen.microBatch },
        finish: journal.chosen.finish,
      },
      seed: options.seed,
      tokens: calibration?.windows ?? null,
      device,
      dtype,
      gradients,
      storage: fitted.storage,
      scratch: folders.work,
      resume: journal.resume,
      results: journal,
      poll: context.poll,
      sink: journal,
    },
    journal,
    context,
  );
  const windows = journal.windowsDone;
  const summary = summarize(windows);
  context.emit(summary);
  const source = journal.exportSource(checkpoint, { name, config: model.config, activations });
  for (const each of planned) {
    const [target, shown] = [placeOf(folders.staging, each), placeOf(options.out, each)];
    await writeExport(each, source, { target, shown }, options, context);
  }
  await writeResultRecord(folders.staging, {
    name,
    version: packageVersion(),
    created: new Date().toISOString(),
    scheme: plan.scheme,
    symmetric: plan.symmetric,
    bitsPerWeight: plan.bitsPerWeight,
    recipe: options.recipe,
    preset: options.preset,
    seed: options.seed,
    options,
    engine: engineRecord(device, options.compute, gradients),
    calibration: calibration?.event ?? null,
    activations:
      activations === null
        ? null
        : {
            bits: activations.bits,
            granularity: activations.granularity,
            simulated: plan.simulatedActivations,
            values: Object.fromEntries(journal.activations),
          },
    windows,
    worstLayer: summary.worstLayer,
    warnings: [...early, ...journal.warnings],
    fingerprints: await fingerprintsOf(
      source,
      (module) => journal.hashOf(module),
      [...new Set([...model.changed, ...journal.changed])],
      context.poll,
    ),
  });
  return report;
}

/** The calibration windows and what tells them from others. */
interface Calibration {
  readonly windows: CalibrationTokens;
  /** Hash of the tokenizer. */
  readonly tokenizer: string;
  readonly event: CalibrateEvent;
}

async function calibrate(
  options: RunOptions,
  folder: string,
  spec: DecoderSpec,
  request: Context,
): Promise<Calibration> {
  if (options.context > spec.maxPositions) {
    throw new ModelError({
      where: 'option "context"',
      what: `windows of ${options.context} tokens are longer than the model's ${spec.maxPositions}`,
      next: `use --context ${spec.maxPositions} or less`,
    });
  }
  const tokenizer = await openTokenizer(folder, spec);
  const { samples, context, seed } = options;
  const stream = await readTokens(options.calibration, tokenizer, request, samples * context);
  const windows = sampleWindows(stream.ids, { samples, context, seed });
  return {
    windows,
    tokenizer: tokenizer.hash,
    event: {
      event: "calibrate",
      documents: stream.documents,
      tokens: stream.ids.length,
      windows: windows.sequences,
      context,
      hash: windowsFingerprint(windows, { tokenizer: tokenizer.hash, seed }),
    },
  };
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
    message: "the last stage is left out: there is no room for the codes of all blocks at once",
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

function activationsOf(scheme: Scheme, options: RunOptions): ActivationQuantization | null {
  if (scheme.activationBits === 16) return null;
  const { granularity } = options.activation;
  return { bits: scheme.activationBits, granularity, dynamic: granularity === "token" };
}

/** The primary format is the result itself; the others lie in folders below it. */
function placeOf(out: string, { format, path }: Pick<PlannedFormat, "format" | "path">): string {
  return format === primaryFormat ? out : join(out, path);
}

function engineRecord(device: Device, { dtype }: RunOptions["compute"], gradients: GradientPrecision): EngineRecord {
  return { torch: engineInfo().torchVersion, device, dtype, gradients, node: process.versions.node };
}

// What computes: another build or another kind of device rounds differently.
function engineName(device: Device): string {
  const { torchVersion, config, devices } = engineInfo();
  const name = devices.find((entry) => entry.device === device)?.name ?? `CPU ${cpuCapability(config)}`;
  return `libtorch ${torchVersion} on ${name}`;
}
