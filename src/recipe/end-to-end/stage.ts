import type { PortStore } from "../../calibration/port-store.js";
import type { NetworkEnd } from "../../network/index.js";
import type { Parameter, Rates } from "../../quant/parameter.js";
import type { NetworkInput } from "../../reconstruct/end-to-end.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import type { SequenceParts } from "../../reconstruct/sequence-parts.js";
import type { RecipeJob, WarningEvent } from "../job/recipe-job.js";
import type { LinearSize } from "../recipe.js";
import type { UnitSource } from "../state/unit-source.js";

/**
 * A training of the whole network on its output, after a recipe's windows or in place of them. A recipe says what is
 * trained and what becomes of it; `trainNetwork` runs it, `run/` plans and saves it.
 */
export interface Stage {
  /** Passes over the sequences. */
  readonly epochs: number;
  /** Windows that an epoch counts for, equal shares of its steps: a killed run loses one of them at most. */
  readonly pieces: number;
  /** Sequences of an optimisation step. */
  readonly batch: number;
  /**
   * What the output is held against: the probabilities of the full-precision network, or the next tokens of the text, those
   * that the sequences say are counted.
   */
  readonly loss: "divergence" | "next-token";
  /** Adam's rates: what has another role stays as it is. */
  readonly rates: Rates;
  /** Decoupled weight decay (AdamW), by role. */
  readonly decay?: Rates;
  /** Fraction of the steps over which rates rise, before a cosine takes them down to `finalRate` of what they were. */
  readonly warmup: number;
  readonly finalRate: number;
  /** Longest gradient of a step, over all that is trained; null takes it as it is. */
  readonly clip: number | null;
  /** First sequences that pass the blocks, quantized as they are opened, so that each is opened by its own inputs; none where it is left out. */
  readonly openingSequences?: number;
  /** What becomes of it when it is given up, in the words of a warning. */
  readonly fallBack: string;
  readonly cost: StageCost;
  /** A block as its training begins: Linears that learn have a path. Called once for each, in order. */
  open(index: number, work: StageWork): QuantizedUnit;
  /** What lies before and after the blocks, where that is trained too, on the next tokens; the checkpoint's where it is left out. */
  openEnds?(work: StageWork): NetworkEnds;
  /** Why nothing is to be handed over, by the losses on the first sequences; null where it is. */
  refuse?(losses: StageLosses): WarningEvent | null;
  /** What there is to say of them where all is handed over; null for nothing. */
  remark?(losses: StageLosses): WarningEvent | null;
  /** Hands over what a block has learnt, one after the other: each is freed behind it. */
  deliver(block: QuantizedUnit, work: StageWork): void;
  /** Hands over what else has learnt, `NetworkEnds.parameters`. */
  deliverEnds?(ends: NetworkEnds, work: StageWork): void;
}

/** The network's loss on the first sequences, before a stage and now. */
export interface StageLosses {
  readonly begun: number;
  readonly now: number;
}

/** What a stage works with. */
export interface StageWork {
  readonly job: RecipeJob;
  readonly source: UnitSource;
  readonly parts: SequenceParts;
  /** At the input of the block that is opened, where the stage has `openingSequences`. */
  readonly opening: PortStore | null;
}

/** What comes before and after a network's blocks. */
export interface NetworkEnds {
  readonly input: NetworkInput;
  readonly end: Pick<NetworkEnd, "port" | "head">;
  /** What is trained of both; saved and restored by name. */
  readonly parameters: readonly Parameter[];
  dispose(): void;
}

/** What a stage takes; `width` is the size in bytes of a number as the products take it. */
export interface StageCost {
  /** Bytes of a weight of its Linears that stay on the device. */
  weightBytes(width: number): number;
  /** Bytes of a group of weights that do, beside what is trained. */
  readonly groupBytes: number;
  /** Numbers that are trained of a Linear, its input's clip aside. */
  parameters(linear: LinearSize): number;
  /** Whether the clips of quantized inputs are trained where the options ask for it. */
  readonly clips: boolean;
  /** Numbers that are trained beside the Linears, of a network of so many tokens and this hidden size. */
  otherParameters?(network: {
    readonly vocabSize: number;
    readonly hiddenSize: number;
    readonly blocks: number;
  }): number;
  /** Bytes of a weight while it is computed with, where all Linears of a block are at once. */
  blockBytes(width: number): number;
  /** Bytes beside these that the largest Linear, of so many weights, takes while it is computed with. */
  linearBytes(width: number, weights: number): number;
  /** Whether GPTQ chooses codes while blocks are opened. */
  readonly columns?: boolean;
  /** How often a step makes the weights that products take, in those of a pass without gradients. */
  readonly operands: number;
}
