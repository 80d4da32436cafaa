import type { z } from "zod";
import type { PortStore, Ports } from "../calibration/port-store.js";
import type { Network, UnitPlan } from "../network/index.js";
import type { Scheme } from "../quant/scheme.js";
import type { QuantizedUnit } from "../reconstruct/quantized-unit.js";
import type { Window } from "../reconstruct/schedule.js";
import type { SequenceParts } from "../reconstruct/sequence-parts.js";
import type { Tensor } from "../tensor/index.js";
import type { BitItem } from "./allocation/bit-items.js";
import type { Stage } from "./end-to-end/stage.js";
import type { RecipeEvent, RecipeJob, WarningEvent } from "./job/recipe-job.js";
import type { Efforts } from "./options/efforts.js";
import type { EngineOptions } from "./options/engine-options.js";
import type { Fragments, InputOf, ValuesOf } from "./options/fragment.js";
import type { UntypedOptions } from "./options/merge-options.js";
import type { PresetName } from "./options/presets.js";
import type { Reading } from "./options/reading.js";
import type { Override } from "./options/shared/overrides.js";
import type { SharedOptions, SharedShape } from "./options/shared-options.js";
import type { WholeModelTraining } from "./whole-model/whole-model-training.js";

/**
 * What the output of a window is held against: `full`, the full-precision window on the full-precision stream;
 * `fullOfQuantized`, the full-precision window on the stream of the quantized network.
 */
export type Target = "full" | "fullOfQuantized";

/**
 * What a quantized window sees, and what its output is held against: the stream of the quantized network, and any targets
 * (none where nothing is reconstructed); or the full-precision stream, so that a window makes up for its own errors alone,
 * and the target that belongs to it.
 */
export type Chain =
  | {
      readonly input: "quantized";
      readonly targets: readonly Target[];
      /** Whether the window has the full-precision stream at its input too; `targets` then hold `full`. */
      readonly fullInput?: boolean;
    }
  | { readonly input: "full"; readonly targets: readonly ["full"]; readonly fullInput?: false };

/**
 * All that the driver, the plan and the options know of a method. Its own code sees the options that it declares, `O`; whoever
 * takes any recipe sees those that every recipe has. `defineRecipe` makes one.
 */
export interface Recipe<O extends EngineOptions = EngineOptions> {
  readonly name: string;
  /** What it is, in a line. */
  readonly title: string;
  /** Where it is published, as help shows it in brackets. */
  readonly paper: string;
  /** What `crossblock recipes` tells to choose by. */
  readonly about: RecipeAbout;
  /** What it reads, beside what every recipe does (`engineFragments`): fragments that recipes share, and groups of its own. */
  readonly options: Fragments;
  /** Values that lie over the schema's defaults and under whatever the user sets, of what it reads. */
  readonly presets: Presets;
  /** How long it trains at an effort, laid over a preset: of what it reads. Left out where only the amount of text counts. */
  readonly efforts?: Efforts<UntypedOptions>;
  /** When the options have its windows trained; null where they never are. */
  readonly training: Reading | null;
  /** False where training leaves the Linears alone, and so has no gradients of their weights. */
  readonly trainsLinears?: false;
  /** Whether it rounds to nearest and does no more: what the others are compared with, of whose blocks there is nothing to tell. */
  readonly onlyRounds?: true;
  /** False where the whole network is trained at once, and there are no windows (`noWindows`). */
  readonly hasWindows?: false;
  /** Why networks whose Linears are stacks of experts are refused, behind its name; left out where they are not. */
  readonly withoutExperts?: string;
  /** Why graphs are refused, behind its name: it needs a language model. Left out where they are not. */
  readonly onlyText?: string;
  /** Whether groups of columns of a Linear get different bits, at the scheme's mean. */
  readonly bitsPerGroup?: true;
  /** Whether matrices stand behind the norms of the network that it makes, as a model is given to it: the identity. */
  normMatrices?(options: O): boolean;
  /** Whether Linears read what they read in the model: ranges of inputs that were learnt with it then hold. */
  readonly keepsInputs?: true;
  /** Whether it is for networks that are told a time step, and calibrates with what a sampler gives them. */
  readonly needsTimeSteps?: true;
  /** Whether it cannot do without calibration text. */
  readonly needsText: boolean;
  /** Whether the scales of all blocks are trained end to end after it, unless the options say otherwise. */
  readonly followedByEndToEnd: boolean;
  /** Whether a model whose inputs get 4 bits is rotated before it, unless the options say otherwise. */
  readonly rotatesByDefault: boolean;
  /** How the whole model is trained before its windows; left out where it is taken as it is. */
  wholeModel?(options: O): WholeModelTraining;
  /** The windows of blocks that it goes through, in order. */
  windows(blocks: number, options: O): readonly Window[];
  /** The network that it goes through: the given one unless it cuts it otherwise. @throws OptionError where it can't */
  network?(network: Network, options: O): Network;
  /** Overrides of its own, which a user's lie over: layers that its paper treats otherwise than most. */
  overrides?(units: readonly UnitPlan[], options: O, scheme: Scheme): readonly Override[];
  /**
   * Shares out bits within a budget, bits of a code in the mean over all weights, its own way: by module, and what is lost with
   * them. Left out, every Linear's own loss decides.
   */
  shareBits?(
    job: RecipeJob<O>,
    items: readonly BitItem[],
    budget: number,
  ): Generator<RecipeEvent, { readonly bits: ReadonlyMap<string, number>; readonly loss: number }>;
  /** Checks what it would share bits out by. @throws OptionError where it can't, before any work starts */
  checkBits?(items: readonly BitItem[], budget: number, options: O): void;
  /** What windows see and are held against. */
  chain(options: O): Chain;
  /** The reconstruction error that events report, of the window's output `actual` against one target, a scalar. */
  error?(target: Tensor, actual: Tensor, options: O): Tensor;
  /** What plan and memory model need to know of a network of this hidden size. */
  cost(options: O, hiddenSize?: number): Cost;
  /** Whether only the answers of conversations count in its loss on the next tokens; left out, all tokens do. */
  answersOnly?(options: O): boolean;
  /** @throws OptionError for options that do not go together */
  check?(options: O, scheme: Scheme): void;
  /**
   * What is done to a block when it is opened: transforms, ranges, starting codes.
   *
   * @param stream at the block's input: that of full precision where a target needs one. `work.advance` moves it to the
   * block's output; what does not, the driver moves.
   */
  prepare(block: QuantizedUnit, stream: PortStore | null, work: UnitWork<O>): void;
  /** Trains or chooses the codes of a window. Returns whether the trained ones can be taken. */
  solve(window: WindowWork<O>): Generator<RecipeEvent, boolean>;
  /** Trainings of the whole network on its output, behind the windows, in order. */
  stages?(options: O): readonly Stage[];
}

/** A recipe in a few words, for those who choose one. */
export interface RecipeAbout {
  /** What is trained: "norms". */
  readonly trains: string;
  /** What it is for. */
  readonly use: string;
  /** What it takes, in an order of magnitude that holds on any machine: "one pass over the text". */
  readonly cost: string;
}

/** Values by the name of a preset; the one that counts unless another is asked for is always there. */
export type Presets<V = UntypedOptions> = { readonly default: V } & { readonly [Name in PresetName]?: V };

/** What the code of a recipe sees that declares these fragments. */
export type OptionsOf<D extends Fragments> = EngineOptions & ValuesOf<D>;

/** What its presets may set. */
type PresetValues<D extends Fragments> = z.input<z.ZodObject<SharedShape>> & Omit<InputOf<D>, keyof SharedOptions>;

/** A recipe of a name, with the options that it declares. */
export interface DefinedRecipe<N extends string, D extends Fragments> extends Recipe<OptionsOf<D>> {
  readonly name: N;
  readonly options: D;
}

/** Makes a recipe whose code and presets are typed by the options that it declares. */
export function defineRecipe<const N extends string, D extends Fragments>(
  recipe: Recipe<OptionsOf<NoInfer<D>>> & {
    readonly name: N;
    readonly options: D;
    readonly presets: Presets<PresetValues<NoInfer<D>>>;
    readonly efforts?: Efforts<PresetValues<NoInfer<D>>>;
  },
): DefinedRecipe<N, D> {
  return recipe;
}

/** What a window takes. */
export interface Cost {
  /** Whether it is trained: gradients, moments of Adam, a best state. */
  readonly trains: boolean;
  /** Sequences of a step of its training; `window.batch` where it is left out. */
  readonly batch?: number;
  /** Second moments of inputs that exist at once: of one site, or of all those of a block. */
  readonly moments: "none" | "site" | "block";
  /** Whether GPTQ chooses codes beside it; where it is left out, wherever second moments are those of a site. */
  readonly columns?: boolean;
  /** Whether the codes of a whole block are chosen before it is trained under them. */
  readonly solvesFirst?: boolean;
  /** How often the codes of a Linear with so many groups of columns are chosen; once where it is left out. */
  splits?(groups: number): number;
  /** How often the solver along the columns runs in a block's attention beyond once for each Linear: rows of heads that wait for each other. */
  solves?(heads: { readonly kvHeads: number; readonly headDim: number }): number;
  /** What is measured of a block's attention: factors of its rows, and a square for every head of the values. */
  readonly attention?: "rows" | "values";
  /** Stores of activations that exist while a block is prepared, beside the streams and what a window is held against. */
  readonly stores?: number;
  /** Whether weights are folded, so that they are no longer what the checkpoint's dtype holds. */
  readonly folds?: boolean;
  /** Steps on a quadratic loss, each a product of the weight with a square of its inputs, per Linear. */
  readonly quadraticSteps?: number;
  /** How often all tokens pass through its Linears; a backward pass counts twice. */
  readonly passes: number;
  /** How often all tokens pass through the blocks behind a window, which nothing else opens; a backward pass counts twice. */
  readonly ahead?: number;
  /** Numbers that are trained of a Linear, its input's clip aside. */
  parameters(linear: LinearSize): number;
  /** Numbers that are trained of a block beside its Linears. */
  readonly normParameters: number;
  /** Numbers of the transform that is trained of a block, whose weights it makes anew in every step. */
  transformParameters?(unit: UnitPlan): number;
  /** Operations of fp32 products that a step of it takes beside the weights that it makes. */
  transformProducts?(unit: UnitPlan): number;
}

/** A Linear, as far as its training is counted. */
export interface LinearSize {
  readonly rows: number;
  readonly columns: number;
  /** Groups of columns over all rows. */
  readonly groups: number;
  readonly symmetric: boolean;
  /** Of its codes; left out where groups have bits of their own. */
  readonly bits?: number;
  /** Whether it reads what the network is given. */
  readonly readsInput?: true;
}

/** Scales and zero points of a Linear. */
export function gridParameterCount({ groups, symmetric }: LinearSize): number {
  return groups * (symmetric ? 1 : 2);
}

/** What a recipe works with while a block is prepared. */
export interface UnitWork<O extends EngineOptions = EngineOptions> {
  readonly job: RecipeJob<O>;
  readonly parts: SequenceParts;
  /** What there is to say at the next event. */
  readonly warnings: WarningEvent[];
  /** Moves a stream past the block, which computes what `run` says. */
  advance(stream: PortStore, run: (x: Ports, part: readonly number[]) => Ports): void;
}

/** What a recipe works with while a window is solved. */
export interface WindowWork<O extends EngineOptions = EngineOptions> {
  readonly job: RecipeJob<O>;
  readonly parts: SequenceParts;
  readonly warnings: WarningEvent[];
  /** Number of the window, counted from 0, and of all windows of the run, end-to-end epochs included. */
  readonly index: number;
  readonly windows: number;
  readonly blocks: readonly QuantizedUnit[];
  /** What the window sees, as the recipe's chain says; null without text. */
  readonly input: PortStore | null;
  /** The full-precision stream at its input, where the chain asks for it. */
  readonly fullInput: PortStore | null;
  /** How many of the first blocks leave it: their codes are chosen with it. */
  readonly leaving: number;
  /** In the order of the chain's. */
  readonly targets: readonly PortStore[];
  /** To be called while a device has work for about this many seconds: the next block is read, what is done is written. */
  whileDeviceWorks(seconds: number): void;
}
