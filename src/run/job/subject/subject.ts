import type { TensorReader } from "../../../checkpoint/tensor-reader.js";
import type { ActivationQuantization, ExportSource } from "../../../format/contract/export-source.js";
import type { FormatName } from "../../../format/exporters.js";
import type { CopiedFiles } from "../../../format/written-files.js";
import type { Network } from "../../../network/index.js";
import type { Scheme } from "../../../quant/scheme.js";
import type { RecipeJob } from "../../../recipe/job/recipe-job.js";
import type { Device, DType } from "../../../tensor/index.js";
import type { RequestContext } from "../../engine/serve-requests.js";
import type { CensusRecord } from "../../events/census-record.js";
import type { QuantizeEvent, WarningEvent } from "../../events/events.js";
import type { RunIdentity } from "../../journal/run-identity.js";
import type { FinishedWindows } from "../../journal/saved/finished-windows.js";
import type { GivenOptions, RunOptions } from "../../options/options.js";
import type { FittedPlan } from "../../plan/fit-memory.js";
import type { LinearPlan } from "../../plan/linear-plans.js";
import type { PlanFacts } from "../../plan/plan.js";
import type { MachineSpeed } from "../../plan/time/machine-speed.js";
import type { Scored } from "../../quality/score-once.js";
import type { ResultRecord } from "../../result/result-record.js";
import type { Calibration } from "../../source/calibrate.js";
import type { CheckedWeights } from "../../source/check-weights.js";

export type QuantizeContext = RequestContext<QuantizeEvent>;

/** What is decided of a run before its model is opened. */
export interface SubjectPlacement {
  readonly device: Device;
  readonly dtype: RunOptions["compute"]["dtype"] & DType;
  readonly scheme: Scheme;
}

/** Options with what "auto" and null came to; `asked` keeps "auto" where a continued run may decide it anew. */
export interface SettledOptions {
  readonly asked: RunOptions;
  readonly options: RunOptions;
}

/** A run's choices and its plan, as what scores and writes it needs them. */
export interface SubjectRun {
  readonly options: RunOptions;
  readonly scheme: Scheme;
  readonly device: Device;
  readonly dtype: SubjectPlacement["dtype"];
  readonly facts: PlanFacts;
  readonly fitted: FittedPlan;
}

/** What is known of a run once its codes are. */
export interface FinishedRun {
  readonly calibration: Calibration | null;
  readonly identity: RunIdentity;
  readonly results: FinishedWindows;
  /** The work folder. */
  readonly work: string;
}

/**
 * What a run quantizes: a language model in a folder (`text/`), or a graph in a file (`graph/`). Everything in which their runs
 * differ is behind this: how they are opened, what they are calibrated on, what their memory and time depend on, how
 * they are scored. Journal, plan, result and exports are written for either.
 */
export interface Subject extends Disposable {
  /** In file names and metadata. */
  readonly name: string;
  /** The format of its results. */
  readonly primary: FormatName;
  /** Its weights, by the names that the network's units give them. */
  readonly checkpoint: TensorReader;
  readonly network: Network;
  /** The network as `crossblock.json` tells it. */
  readonly record: ResultRecord["network"];
  /** The options that were given, with what is calibrated on; and why on that, where it was not asked for. */
  readonly given: GivenOptions;
  readonly calibrationWhy: string | null;
  /** Positions of the longest sequence that it takes, and of those that it is calibrated on unless an option says otherwise. */
  readonly maxPositions: number;
  readonly context: number;
  readonly activations: ActivationQuantization | null;
  /** How inputs are quantized where that was learnt with the model. */
  readonly inputGrids: RecipeJob["inputGrids"];
  /** The network's input that tells the time step; undefined where there is none, or where nobody samples. */
  readonly timeInput: RecipeJob["timeInput"];
  /** Names of the tensors in `checkpoint` that are not the user's. */
  readonly changed: readonly string[];

  /** @throws ModelError, OptionError for options that don't go with this model */
  settle(options: GivenOptions): SettledOptions;
  /** What becomes of its tensors when these Linears are quantized. */
  census(linears: readonly LinearPlan[]): CensusRecord;
  /** The result before it exists, so that formats can be planned. */
  plannedSource(linears: readonly LinearPlan[]): ExportSource;
  /** The finished result. */
  source(finished: FinishedWindows): ExportSource;
  speed(options: RunOptions): MachineSpeed;
  /** @throws OptionError where the run does not fit into the memory that it may take */
  fit(facts: PlanFacts, spareBytes: number): FittedPlan;
  /** The least that the work folder will hold. */
  leastWorkBytes(facts: PlanFacts): number;

  /** Files that go along with the result. @throws CheckpointError for those that can't be copied */
  copied(): CopiedFiles;
  /** Refuses what is calibrated on where it is not there, before anything is read. @throws CalibrationError */
  findCalibration(): Promise<void>;
  /** What is to be said of the model before work starts. */
  warnings(): readonly WarningEvent[];
  /** Reads what the run is calibrated on; null where it needs none, or the model makes it up. @throws CalibrationError */
  calibrate(options: RunOptions, context: QuantizeContext): Promise<Calibration | null>;
  /** Reads all weights once. @throws CheckpointError for one that is not finite */
  checkWeights(context: QuantizeContext): CheckedWeights;
  /** Where the model makes up what it is calibrated on; a dry run may leave it at null. */
  readonly makeUp: ((run: SubjectRun, model: MadeUpBy, context: QuantizeContext) => Promise<Calibration | null>) | null;

  /** Scores source and result, or says why not. */
  score(run: SubjectRun, job: RecipeJob, finished: FinishedRun, context: QuantizeContext): Promise<Scored>;
  /** Writes the picture of samples that was asked for. */
  writeSamples(run: SubjectRun, job: RecipeJob, finished: FinishedRun): Promise<void>;
  /** Bytes of the source's weights on the disk. */
  sourceBytes(): Promise<number>;
  /** Writes the model that was trained before it was quantized; only for recipes that train one. */
  writeTrained(job: RecipeJob, place: TrainedPlace, context: QuantizeContext): Promise<void>;
}

/** By what a model that makes up its text is known again. */
export interface MadeUpBy {
  readonly weights: string;
  readonly engine: string;
}

/** Where a result is being written, and where it will be found. */
export interface TrainedPlace {
  readonly staging: string;
  readonly shown: string;
}
