import type { ActivationQuantization, ExportSource } from "../../../../format/contract/export-source.js";
import { constantGrid, type InputGrid } from "../../../../format/contract/input-grid.js";
import { filesToCopy } from "../../../../format/copy-model-files.js";
import { companionFolder, companionNames } from "../../../../format/qdq/graph/companion-files.js";
import type { CopiedFiles } from "../../../../format/written-files.js";
import { type Graph, GraphNetwork, GraphTensors } from "../../../../network/index.js";
import { type LayerSchemes, resolveSchemes } from "../../../../recipe/job/layer-schemes.js";
import type { RecipeJob } from "../../../../recipe/job/recipe-job.js";
import { recipeOf } from "../../../../recipe/job/recipe-names.js";
import { optionValue, type UntypedOptions } from "../../../../recipe/options/merge-options.js";
import type { Override } from "../../../../recipe/options/shared/overrides.js";
import { numbersIn } from "../../../../tensor/index.js";
import { foldBatchNorms } from "../../../../transform/batch-norm/fold-batch-norm.js";
import type { CensusRecord } from "../../../events/census-record.js";
import type { WarningEvent } from "../../../events/events.js";
import { pacedProgress } from "../../../events/paced-progress.js";
import type { FinishedWindows } from "../../../journal/saved/finished-windows.js";
import { graphFormat } from "../../../options/graph/is-graph.js";
import type { GivenOptions, RunOptions } from "../../../options/options.js";
import { type FittedPlan, fitPlan } from "../../../plan/fit-memory.js";
import { type GraphPlanInput, leastGraphWorkBytes, makeGraphPlan } from "../../../plan/graph/graph-plan.js";
import { measureGraphSpeed } from "../../../plan/graph/graph-speed.js";
import { type UnitExtent, unitExtents } from "../../../plan/graph/unit-extents.js";
import type { LinearPlan } from "../../../plan/linear-plans.js";
import { needsTokens, type PlanFacts } from "../../../plan/plan.js";
import { plannedSource } from "../../../plan/planned-source.js";
import type { MachineSpeed } from "../../../plan/time/machine-speed.js";
import type { Scored } from "../../../quality/score-once.js";
import type { GraphRecord } from "../../../result/result-record.js";
import type { Calibration } from "../../../source/calibrate.js";
import type { CheckedWeights } from "../../../source/check-weights.js";
import { assumedPreprocessing } from "../../../source/graph/assumed-preprocessing.js";
import { ChosenExamples } from "../../../source/graph/chosen-examples.js";
import {
  type ExampleSource,
  examplesFingerprint,
  requireFiniteExamples,
} from "../../../source/graph/example-source.js";
import { requireFinite } from "../../../source/graph/finite-weights.js";
import { GraphFile } from "../../../source/graph/graph-file.js";
import { numberedExamples } from "../../../source/graph/numbered-examples.js";
import type { SampledNetwork } from "../../../source/graph/sampler-source.js";
import { calibratedExamples, scoredExamples } from "../../../source/graph/scored-examples.js";
import type {
  FinishedRun,
  QuantizeContext,
  SettledOptions,
  Subject,
  SubjectPlacement,
  SubjectRun,
} from "../subject.js";
import { calibrationSource } from "./calibration-source.js";
import { changedTensors } from "./changed-tensors.js";
import { graphRefusals } from "./graph-refusals.js";
import { requireEnough } from "./require-enough.js";
import { requireOutputs } from "./require-outputs.js";
import { writeSamplesGrid } from "./samples-grid.js";
import { scoreGraph } from "./score-graph.js";

/** A network in an ONNX file, calibrated on images or prepared tensors. */
export class GraphModel implements Subject {
  readonly primary = graphFormat;
  readonly makeUp = null;
  readonly inputGrids = undefined;
  readonly changed: readonly string[];
  readonly calibrationWhy = null;
  /** An example is one position. */
  readonly maxPositions = 1;
  readonly context = 1;

  /**
   * Reads the file, cuts it into units, and finds the examples that it is calibrated on.
   *
   * @param written the options as they were given, of which the number of examples counts
   * @throws FormatError, ModelError for a file that can't be quantized; CalibrationError for examples that do not fit
   */
  static async open(
    given: GivenOptions,
    written: UntypedOptions,
    path: string,
    placement: SubjectPlacement,
  ): Promise<GraphModel> {
    const file = GraphFile.open(path);
    try {
      if (file.isQuantized) throw graphRefusals.quantizedAlready(file);
      const { graph, folded } = foldBatchNorms(file.graph);
      const { source, sampled } = await calibrationSource(graph, given, file.folder, placement.device);
      const asked = optionValue(written, "samples");
      const least = recipeOf(given.recipe).needsTimeSteps === true ? (source?.least ?? 0) : 0;
      if (source !== null && typeof asked === "number") requireEnough(source, asked, least);
      const examples = new ChosenExamples();
      const whole = GraphNetwork.create(graph, source?.shapes ?? {}, examples);
      const network = recipeOf(given.recipe).network?.(whole, given) ?? whole;
      if (!(network instanceof GraphNetwork)) throw new TypeError("a recipe cuts a graph into a graph");
      if (!network.units.some(({ layers }) => layers.length > 0)) throw graphRefusals.withoutLayers(file);
      if (source !== null) requireOutputs(graph, network.ports(1, network.units.length));
      const isCounted = typeof asked === "number";
      return new GraphModel(file, graph, folded, network, examples, source, sampled, given, isCounted, placement);
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
  }

  readonly name: string;
  readonly checkpoint: GraphTensors;
  readonly activations: ActivationQuantization | null;
  readonly #extents: readonly UnitExtent[];
  /** Those of the recipe, under the user's. */
  readonly #ownOverrides: readonly Override[];
  readonly #schemes: LayerSchemes;

  private constructor(
    readonly file: GraphFile,
    /** With its batch norms folded. */
    readonly graph: Graph,
    private readonly folded: readonly string[],
    readonly network: GraphNetwork,
    private readonly examples: ChosenExamples,
    /** What is calibrated on; null where nothing is. */
    readonly exampleSource: ExampleSource | null,
    /** How it is sampled; null for a network of no diffusion model, or where nobody said how. */
    private readonly sampled: SampledNetwork | null,
    readonly given: GivenOptions,
    private readonly isCounted: boolean,
    private readonly placement: SubjectPlacement,
  ) {
    this.name = file.name;
    this.checkpoint = new GraphTensors(network.cut);
    this.#extents = unitExtents(network);
    this.#ownOverrides = recipeOf(given.recipe).overrides?.(network.units, given, placement.scheme) ?? [];
    this.#schemes = resolveSchemes(network.units, placement.scheme, [...this.#ownOverrides, ...given.overrides]);
    const { activationBits: bits } = placement.scheme;
    this.activations = bits === 16 ? null : { bits, granularity: "tensor", dynamic: false, zeroPoint: "integer" };
    this.changed = changedTensors(file.graph, network);
  }

  get record(): GraphRecord {
    const { network, graph, folded, exampleSource } = this;
    const shapes = network.ports(1, 0);
    return {
      kind: "graph",
      opset: graph.opset,
      inputs: graph.inputs.map(({ name }) => ({ name, shape: shapes[name] ?? [] })),
      output: graph.outputs[0]?.name ?? "",
      units: network.cut.units.map(({ kind, layers }) => ({ kind, layers: layers.map(({ plan }) => plan.module) })),
      folded,
      images: exampleSource?.preprocessing ?? null,
    };
  }

  /** Where nobody said how many examples are taken, as many are as leave some to be scored; of a sampler's run every step is. */
  settle(options: GivenOptions): SettledOptions {
    const { exampleSource: source, isCounted } = this;
    const { dtype } = this.placement;
    const samples = source === null || isCounted ? options.samples : calibratedExamples(source, options.samples);
    const overrides = [...this.#ownOverrides, ...options.overrides];
    const asked = { ...options, samples, overrides, context: 1, compute: { ...options.compute, dtype } };
    if (options.compute.gradients === "fp8") throw graphRefusals.withoutFp8();
    return { asked, options: { ...asked, rotation: "none", compute: { ...asked.compute, gradients: "full" } } };
  }

  census(linears: readonly LinearPlan[]): CensusRecord {
    const floats = [...this.graph.constants.values()].filter(({ dataType }) => dataType.startsWith("float")).length;
    return { quantized: linears.length, computed: Math.max(0, floats - linears.length), leftOut: [] };
  }

  plannedSource(linears: readonly LinearPlan[]): ExportSource {
    const grid = { scale: 1, zeroPoint: 0 };
    const inputGrids = new Map(
      linears.flatMap(({ name }) => {
        const bits = this.#inputBits(name);
        return bits === 16 ? [] : [[name, { bits, ...grid }] as const];
      }),
    );
    return { ...plannedSource(linears, this.checkpoint, this.#described), graph: this.#written, inputGrids };
  }

  source(finished: FinishedWindows): ExportSource {
    const { activations, zeroPoints } = finished;
    const constant = [...activations].map(([module, scale]) => {
      return [module, constantGrid(this.#inputBits(module), scale, zeroPoints.get(module))] as const;
    });
    const inputGrids = new Map<string, InputGrid>([...constant, ...finished.inputGrids]);
    return { ...finished.exportSource(this.checkpoint, this.#described), graph: this.#written, inputGrids };
  }

  speed(options: RunOptions): MachineSpeed {
    const { network, checkpoint, placement } = this;
    const parts = { network, checkpoint, extents: this.#extents, schemes: this.#schemes };
    return measureGraphSpeed({ options, ...parts, ...placement });
  }

  fit(facts: PlanFacts, spareBytes: number): FittedPlan {
    return fitPlan({ ...this.#planInput(facts), spareBytes }, (input) => makeGraphPlan(input));
  }

  leastWorkBytes(facts: PlanFacts): number {
    return leastGraphWorkBytes(this.#planInput(facts));
  }

  copied(): CopiedFiles {
    return filesToCopy(companionFolder(this.file.folder), companionNames);
  }

  /** They were found when the file was opened. */
  async findCalibration(): Promise<void> {}

  warnings(): readonly WarningEvent[] {
    const assumed = assumedPreprocessing(this.exampleSource, this.file.path);
    return assumed === null ? [] : [assumed];
  }

  async calibrate(options: RunOptions, context: QuantizeContext): Promise<Calibration | null> {
    const { exampleSource: source } = this;
    if (source === null || !needsTokens(options)) return null;
    const { samples, seed } = options;
    const held = scoredExamples(source.count, samples);
    const progress = pacedProgress(context.emit, "reading examples");
    await this.examples.load(source, { count: samples + held, seed }, (done) => {
      context.poll();
      progress(done, samples + held);
    });
    requireFiniteExamples(this.examples, samples + held, source.where);
    const hash = examplesFingerprint(this.examples, samples);
    const heldOut = held === 0 ? null : numberedExamples(samples, held);
    return {
      tokens: numberedExamples(0, samples),
      tokenizer: null,
      heldOut,
      event: {
        event: "calibrate",
        source: source.kind,
        why: null,
        documents: source.count,
        tokens: source.count,
        sequences: samples,
        context: 1,
        hash,
      },
    };
  }

  checkWeights({ poll }: QuantizeContext): CheckedWeights {
    requireFinite(this.checkpoint, this.file.path, poll);
    return { hash: this.file.hash(poll), notFinite: [] };
  }

  get timeInput(): string | undefined {
    return this.sampled?.inputs.time.name;
  }

  async writeSamples({ options }: SubjectRun, job: RecipeJob, { results }: FinishedRun): Promise<void> {
    if (this.sampled === null || options.samplesGrid === null) return;
    await writeSamplesGrid(options.samplesGrid, this.sampled, job, results);
  }

  score(run: SubjectRun, job: RecipeJob, finished: FinishedRun, context: QuantizeContext): Promise<Scored> {
    return scoreGraph(this, run, job, finished, context);
  }

  async sourceBytes(): Promise<number> {
    return this.file.bytes;
  }

  async writeTrained(): Promise<void> {
    throw new TypeError("no recipe trains a graph before it is quantized");
  }

  [Symbol.dispose](): void {
    this.file[Symbol.dispose]();
  }

  #inputBits(module: string): number {
    return this.#schemes.get(module)?.activationBits ?? 16;
  }

  get #described(): Pick<ExportSource, "config" | "activations"> & { readonly name: string } {
    return { name: this.name, config: {}, activations: this.activations };
  }

  get #written(): NonNullable<ExportSource["graph"]> {
    return { content: this.file.content, cut: this.network.cut };
  }

  #planInput(facts: PlanFacts): GraphPlanInput {
    const { exampleSource: source, network, checkpoint } = this;
    const examples = source !== null && needsTokens(facts.options) ? facts.options.samples : 0;
    const numbers = Object.values(network.ports(1, 0)).reduce((sum, shape) => sum + numbersIn(shape), 0);
    const held = source === null ? 0 : scoredExamples(source.count, examples);
    // A byte for each number of an image; tensors are in memory as they are stored.
    const exampleBytes = source?.kind === "tensors" ? 4 * source.count * numbers : (examples + held) * numbers;
    return {
      ...facts,
      ...{ units: network.units, extents: this.#extents, checkpoint, examples, exampleBytes },
      available: source?.count ?? 0,
      source: examples === 0 ? null : (source?.kind ?? null),
    };
  }
}
