import { basename, join, resolve } from "node:path";
import { sampleWindows, windowsFingerprint } from "../calibration/token-windows.js";
import { Checkpoint } from "../checkpoint/checkpoint.js";
import { readModelConfig } from "../checkpoint/model-config.js";
import { ModelError } from "../errors.js";
import type { ActivationQuantization } from "../format/export-source.js";
import { primaryFormat } from "../format/exporters.js";
import { type DecoderSpec, readSpec } from "../model/index.js";
import { packageVersion } from "../package-version.js";
import type { Scheme } from "../quant/scheme.js";
import { resolveSchemes } from "../recipe/layer-schemes.js";
import type { CalibrationTokens, RecipeEvent, RecipeJob, RecipeReport } from "../recipe/recipe-job.js";
import { runRecipe } from "../recipe/run-recipe.js";
import { engineInfo, manualSeed, setThreads } from "../tensor/index.js";
import { measureFlops, resolveDevice } from "./device.js";
import type { EngineCalls } from "./engine-protocol.js";
import type { CalibrateEvent, PlanEvent, QuantizeEvent, ReportEvent, WarningEvent, WindowDoneEvent } from "./events.js";
import { fingerprintsOf } from "./fingerprints.js";
import { linearPlans } from "./linear-plans.js";
import { type RunOptions, recipeOptionsOf, schemeOf } from "./options.js";
import { makePlan, needsTokens } from "./plan.js";
import { plannedSource } from "./planned-source.js";
import { openTokenizer, readTokens } from "./read-tokens.js";
import { resolveFolder } from "./resolve-folder.js";
import { writeResultRecord } from "./result-file.js";
import { ResultSink } from "./result-sink.js";
import type { RequestContext } from "./serve-requests.js";
import { type PlannedFormat, planExports, writeExport } from "./write-exports.js";

type Context = RequestContext<QuantizeEvent>;

/** What the run tells about itself at the end, gathered from its events. */
interface Findings {
  calibration: CalibrateEvent | null;
  readonly windows: WindowDoneEvent[];
  readonly warnings: WarningEvent[];
}

/** Reads the model, plans, calibrates, quantizes and writes to the staging folder; a dry run ends with the plan. */
export async function quantizeJob(
  { options, staging }: EngineCalls["quantize"]["parameters"],
  context: Context,
): Promise<EngineCalls["quantize"]["result"]> {
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
  const spec = readSpec(config);
  const scheme = schemeOf(options);
  const recipeOptions = recipeOptionsOf(options);
  const schemes = resolveSchemes(spec, scheme, recipeOptions.overrides);
  const activations = activationsOf(scheme, options);
  using checkpoint = await Checkpoint.open(folder);
  if (options.compute.threads !== null) setThreads(options.compute.threads);
  const device = resolveDevice(options.device);
  const flops = measureFlops(device, options.compute.dtype);
  const planned = planExports(
    plannedSource(linearPlans(spec, schemes), checkpoint, { name, config, activations }),
    options.format,
    options,
  );
  const exports = planned.map(({ format, path, bytes }) => ({
    format,
    path: placeOf(options.out, { format, path }),
    bytes,
  }));
  const plan = makePlan({ options, scheme, spec, schemes, activations, checkpoint, exports, device, flops });
  context.emit(plan);
  if (staging === null) return { devicePeakBytes: null };

  const findings: Findings = { calibration: null, windows: [], warnings: [] };
  const tokens = needsTokens(options) ? await calibrate(options, folder, spec, findings, context) : null;
  manualSeed(options.seed);
  const sink = new ResultSink();
  const report = await runToEnd(
    {
      checkpoint,
      spec,
      recipe: options.recipe,
      scheme,
      options: recipeOptions,
      seed: options.seed,
      tokens,
      device,
      dtype: options.compute.dtype,
      storage: options.streams.storage,
      poll: context.poll,
      sink,
    },
    findings,
    context,
  );
  const summary = summarize(findings.windows);
  context.emit(summary);
  const source = sink.exportSource(checkpoint, { name, config, activations });
  for (const each of planned) {
    const [target, shown] = [placeOf(staging, each), placeOf(options.out, each)];
    await writeExport(each, source, { target, shown }, options, context);
  }
  await writeResultRecord(staging, {
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
    engine: engineRecord(plan, options),
    calibration: findings.calibration,
    activations:
      activations === null
        ? null
        : {
            bits: activations.bits,
            granularity: activations.granularity,
            simulated: plan.simulatedActivations,
            values: Object.fromEntries(sink.activations),
          },
    windows: findings.windows,
    worstLayer: summary.worstLayer,
    warnings: findings.warnings,
    fingerprints: await fingerprintsOf(source, sink.changed, context.poll),
  });
  return report;
}

async function calibrate(
  options: RunOptions,
  folder: string,
  spec: DecoderSpec,
  findings: Findings,
  request: Context,
): Promise<CalibrationTokens> {
  if (options.context > spec.maxPositions) {
    throw new ModelError({
      where: 'option "context"',
      what: `windows of ${options.context} tokens are longer than the model's ${spec.maxPositions}`,
      next: `use --context ${spec.maxPositions} or less`,
    });
  }
  const tokenizer = await openTokenizer(folder, spec);
  const stream = await readTokens(options.calibration, tokenizer, request);
  const { samples, context, seed } = options;
  const windows = sampleWindows(stream.ids, { samples, context, seed });
  findings.calibration = {
    event: "calibrate",
    documents: stream.documents,
    tokens: stream.ids.length,
    windows: windows.sequences,
    context,
    hash: windowsFingerprint(windows, { tokenizer: tokenizer.hash, seed }),
  };
  request.emit(findings.calibration);
  return windows;
}

async function runToEnd(job: RecipeJob, findings: Findings, { emit }: Context): Promise<RecipeReport> {
  const events = runRecipe(job);
  for (;;) {
    const next: IteratorResult<RecipeEvent, RecipeReport> = await events.next();
    if (next.done === true) return next.value;
    if (next.value.event === "window-done") findings.windows.push(next.value);
    else if (next.value.event === "warning") findings.warnings.push(next.value);
    emit(next.value);
  }
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

function engineRecord(
  plan: PlanEvent,
  options: RunOptions,
): { readonly torch: string; readonly device: string; readonly dtype: string; readonly node: string } {
  const { torchVersion } = engineInfo();
  return { torch: torchVersion, device: plan.device, dtype: options.compute.dtype, node: process.versions.node };
}
