import { tmpdir } from "node:os";
import { basename, resolve } from "node:path";
import { findTextFiles } from "../../../../calibration/text/text-files.js";
import { hubNameOf } from "../../../../checkpoint/hub/hub-name.js";
import { type ModelConfig, readModelConfig } from "../../../../checkpoint/model-config.js";
import { ModelFolder } from "../../../../checkpoint/model-folder.js";
import type { FolderWeights } from "../../../../checkpoint/tensor-reader.js";
import { OptionError } from "../../../../errors.js";
import type { ActivationQuantization, ExportSource } from "../../../../format/contract/export-source.js";
import { filesToCopy } from "../../../../format/copy-model-files.js";
import { withoutQuantization } from "../../../../format/dequantized/read-encoding.js";
import { primaryFormat } from "../../../../format/exporters.js";
import type { CopiedFiles } from "../../../../format/written-files.js";
import { DecoderNetwork, type UnitPlan } from "../../../../network/index.js";
import type { Scheme } from "../../../../quant/scheme.js";
import type { RecipeJob } from "../../../../recipe/job/recipe-job.js";
import { recipeOf } from "../../../../recipe/job/recipe-names.js";
import { type CensusRecord, censusRecord, censusWarnings } from "../../../events/census-record.js";
import { contradiction } from "../../../events/contradiction.js";
import type { WarningEvent } from "../../../events/events.js";
import type { FinishedWindows } from "../../../journal/saved/finished-windows.js";
import { WorkDirectory } from "../../../journal/work-directory.js";
import { gradientPrecision } from "../../../machine/gradient-precision.js";
import { isSelfGenerated, textPaths } from "../../../options/calibration-option.js";
import { defaultContext, requireContextOption } from "../../../options/default-context.js";
import { assertForText } from "../../../options/graph/graph-options.js";
import { type GivenOptions, type RunOptions, recipeOptionsOf, schemeOf } from "../../../options/options.js";
import { withDefaultText } from "../../../options/text/default-text.js";
import { leastWorkBytes } from "../../../plan/disk-need.js";
import { type FittedPlan, fitMemory } from "../../../plan/fit-memory.js";
import type { LinearPlan } from "../../../plan/linear-plans.js";
import { needsTokens, type PlanFacts, type PlanInput } from "../../../plan/plan.js";
import { plannedSource } from "../../../plan/planned-source.js";
import type { MachineSpeed } from "../../../plan/time/machine-speed.js";
import { measureSpeed } from "../../../plan/time/measure-speed.js";
import type { Scored } from "../../../quality/score-once.js";
import { weightBytes } from "../../../result/sizes/result-sizes.js";
import { type Calibration, calibrate } from "../../../source/calibrate.js";
import { type CheckedWeights, checkWeights } from "../../../source/check-weights.js";
import { type ModelToQuantize, modelToQuantize } from "../../../source/model-to-quantize.js";
import { refuseResult } from "../../../source/quantized-source.js";
import { selfGeneratedText } from "../../../source/self-generated-text.js";
import { openWeights } from "../../../source/trained/open-weights.js";
import { writeTrainedModel } from "../../trained/write-trained-model.js";
import type {
  FinishedRun,
  MadeUpBy,
  QuantizeContext,
  SettledOptions,
  Subject,
  SubjectPlacement,
  SubjectRun,
  TrainedPlace,
} from "../subject.js";
import { noTokenizer } from "./no-tokenizer.js";
import { scoreText } from "./score-text.js";

/** A language model in a Hugging Face folder, calibrated on text. */
export class TextModel implements Subject {
  readonly primary = primaryFormat;
  readonly network: DecoderNetwork;
  readonly makeUp: Subject["makeUp"];

  /**
   * Opens configuration and headers, and finds out what the run calibrates on where it was not told.
   *
   * @param folder of the model
   * @throws ModelError, OptionError, CheckpointError for a model that can't be quantized so
   */
  static async open(chosen: GivenOptions, folder: string, placement: SubjectPlacement): Promise<TextModel> {
    assertForText(chosen);
    const stored = await readModelConfig(folder);
    refuseResult(folder, stored);
    const config = withoutQuantization(stored);
    const hasTokenizer = ModelFolder.open(folder).has("tokenizer.json");
    const { options: given, why } = withDefaultText(chosen, schemeOf(chosen), hasTokenizer);
    const original = await openWeights(folder, stored, given);
    let model: ModelToQuantize | null = null;
    try {
      model = modelToQuantize(original, config, placement.scheme, given);
      return new TextModel(folder, config, original, model, given, why, placement);
    } catch (error) {
      model?.[Symbol.dispose]();
      original.close();
      throw error;
    }
  }

  readonly name: string;
  readonly activations: ActivationQuantization | null;

  private constructor(
    readonly folder: string,
    /** `config.json`, of weights in floating point. */
    readonly config: ModelConfig,
    readonly original: FolderWeights,
    readonly model: ModelToQuantize,
    readonly given: GivenOptions,
    readonly calibrationWhy: string | null,
    private readonly placement: SubjectPlacement,
  ) {
    this.name = basename(hubNameOf(given.model)?.name ?? resolve(folder));
    this.activations = activationsOf(placement.scheme, given, model.inputs);
    this.network = new DecoderNetwork(model.spec);
    requireNoExperts(given, this.network.units);
    this.makeUp = isSelfGenerated(given) ? (...made) => this.#makeUp(...made) : null;
  }

  get checkpoint(): ModelToQuantize["checkpoint"] {
    return this.model.checkpoint;
  }

  get record(): ModelToQuantize["spec"] {
    return this.model.spec;
  }

  get maxPositions(): number {
    return this.model.spec.maxPositions;
  }

  get context(): number {
    return defaultContext(this.model.spec);
  }

  readonly timeInput = undefined;

  /** Options refuse a sampler for a language model. */
  async writeSamples(): Promise<void> {}

  get inputGrids(): RecipeJob["inputGrids"] {
    return this.model.inputs?.grids;
  }

  get changed(): readonly string[] {
    return this.model.changed;
  }

  settle(options: GivenOptions): SettledOptions {
    const { spec, rotation } = this.model;
    const { device, dtype } = this.placement;
    const asked = { ...options, context: options.context ?? this.context, compute: { ...options.compute, dtype } };
    requireContextOption(asked.context, spec);
    const gradients = gradientPrecision(asked, spec, device);
    return { asked, options: { ...asked, rotation, compute: { ...asked.compute, gradients } } };
  }

  census(linears: readonly LinearPlan[]): CensusRecord {
    return censusRecord(
      this.model.census,
      linears.map((linear) => linear.name),
      this.original.encoding,
    );
  }

  plannedSource(linears: readonly LinearPlan[]): ExportSource {
    return plannedSource(linears, this.checkpoint, this.#described);
  }

  source(finished: FinishedWindows): ExportSource {
    return finished.exportSource(this.checkpoint, this.#described);
  }

  speed(options: RunOptions): MachineSpeed {
    return measureSpeed({ options, ...this.placement, spec: this.model.spec, scratch: tmpdir() });
  }

  fit(facts: PlanFacts, spareBytes: number): FittedPlan {
    return fitMemory({ ...this.planInput(facts), spareBytes });
  }

  leastWorkBytes(facts: PlanFacts): number {
    return leastWorkBytes(this.planInput(facts));
  }

  /** What its plan is made of. */
  planInput(facts: PlanFacts): PlanInput {
    return { ...facts, spec: this.model.spec, activations: this.activations, checkpoint: this.checkpoint };
  }

  copied(): CopiedFiles {
    return filesToCopy(this.folder);
  }

  async findCalibration(): Promise<void> {
    const paths = textPaths(this.given);
    if (paths.length > 0) await findTextFiles(paths);
  }

  warnings(): readonly WarningEvent[] {
    const { folder, given, model } = this;
    const rotated = model.rotation !== "none";
    return [
      ...model.contradictions.map((found) => contradiction(folder, found)),
      ...censusWarnings(model.census, folder, { result: true, rotated }),
      ...(!readsText(given) && !ModelFolder.open(folder).has("tokenizer.json") ? [noTokenizer(folder)] : []),
    ];
  }

  async calibrate(options: RunOptions, context: QuantizeContext): Promise<Calibration | null> {
    if (!readsText(options)) return null;
    return calibrate(options, { folder: this.folder, spec: this.model.spec, why: this.calibrationWhy }, context);
  }

  checkWeights(context: QuantizeContext): CheckedWeights {
    return checkWeights(this.original, this.config, this.model.census.read, context);
  }

  score(run: SubjectRun, job: RecipeJob, finished: FinishedRun, context: QuantizeContext): Promise<Scored> {
    return scoreText(this, run, job, finished, context);
  }

  sourceBytes(): Promise<number> {
    return weightBytes(this.folder);
  }

  /** With the ranges of its inputs, where the scheme has any. */
  async writeTrained(
    { checkpoint, inputGrids }: RecipeJob,
    place: TrainedPlace,
    context: QuantizeContext,
  ): Promise<void> {
    const bits = this.placement.scheme.activationBits;
    const inputs = bits === 16 || inputGrids === undefined ? null : { bits, grids: inputGrids };
    await writeTrainedModel({ checkpoint, config: this.model.config, inputs }, place, context);
  }

  [Symbol.dispose](): void {
    this.model[Symbol.dispose]();
    this.original.close();
  }

  get #described(): Pick<ExportSource, "config" | "activations"> & { readonly name: string } {
    const { name, activations, model } = this;
    return { name, config: model.config, activations };
  }

  async #makeUp(
    { options, fitted, device, dtype }: SubjectRun,
    { weights, engine }: MadeUpBy,
    context: QuantizeContext,
  ): Promise<Calibration | null> {
    const { sampling, tensorBytes } = fitted;
    const work = WorkDirectory.pathOf(options);
    const { config, original, calibrationWhy: why } = this;
    return selfGeneratedText(
      {
        ...{ options, config, device, dtype, weights, work, tensorBytes, why, engine },
        checkpoint: original,
        atOnce: sampling,
      },
      context,
    );
  }
}

function readsText(options: GivenOptions): boolean {
  return needsTokens(options) && !isSelfGenerated(options);
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

function requireNoExperts({ recipe }: GivenOptions, units: readonly UnitPlan[]): void {
  const { withoutExperts } = recipeOf(recipe);
  if (withoutExperts === undefined) return;
  if (!units.some(({ layers }) => layers.some(({ experts }) => experts !== undefined))) return;
  throw new OptionError({ where: "--recipe", what: `${recipe} ${withoutExperts}`, next: "use --recipe gptq or cbq" });
}
