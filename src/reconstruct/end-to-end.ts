import type { ActivationStore } from "../calibration/activation-store.js";
import type { Head } from "../network/index.js";
import { type Adam, backward, keep, noGrad, scope, type Tensor } from "../tensor/index.js";
import type { OutputObjective } from "./objective/output-objective.js";
import { forwardAll, type QuantizedBlock } from "./quantized-block.js";
import { backwardThroughPaths } from "./quantized-layer.js";
import type { StepReport, TrainingFault } from "./reconstruct.js";
import type { SequenceParts } from "./sequence-parts.js";
import { allFinite } from "./training/all-finite.js";
import { BestState } from "./training/best-state.js";
import { clipGradients } from "./training/clip-gradients.js";
import type { FaultWatch } from "./training/fault-watch.js";
import { shuffledBatches } from "./training/shuffled-batches.js";

/** A network whose blocks all learn at once. */
export interface Network {
  readonly blocks: readonly QuantizedBlock[];
  readonly head: Head;
}

export interface EndToEndEpoch {
  /** Counted from 0. */
  readonly epoch: number;
  /** Sequences per optimisation step. */
  readonly batch: number;
  readonly parts: SequenceParts;
  /** Of the order of the sequences. */
  readonly seed: number;
  /** Factor of every rate at the step of this number, counted from 0 over all epochs. */
  readonly schedule: (step: number) => number;
  /** Longest gradient of a step, over all that is trained; null takes it as it is. */
  readonly clip?: number | null;
  /** Judges the steps of all epochs. */
  readonly watch: FaultWatch;
}

/**
 * Trains what the blocks' layers have to learn on the network's output, the probabilities of the next token: one pass over
 * the sequences. Blocks keep nothing but their inputs on the way forward and are computed
 * once more on the way back, so memory holds the activations of a single block.
 * Yields a report for every step. A step whose loss or gradient is not finite changes nothing; several put back the
 * state at the epoch's start, and Adam begins anew. Returns whether training can go on: false once it was given up.
 * Source: E2E-QP in EfficientQAT (arXiv 2407.11062), section 3.3.
 */
export function* trainEndToEnd(
  network: Network,
  adam: Adam,
  input: ActivationStore,
  objective: OutputObjective,
  { epoch, batch, parts, seed, schedule, clip = null, watch }: EndToEndEpoch,
): Generator<StepReport | TrainingFault, boolean> {
  const { sequences, tokens } = input.shape;
  const parameters = network.blocks.flatMap((block) => block.parameters);
  const learnt = parameters.map(({ tensor }) => tensor);
  using start = new BestState(parameters);
  const batches = [...shuffledBatches(sequences, batch, seed)];
  for (const [i, indices] of batches.entries()) {
    const weight = 1 / (indices.length * tokens);
    const loss = parts.attempt(() => {
      for (const parameter of learnt) parameter.clearGrad();
      let sum = 0;
      for (let first = 0; first < indices.length; first += parts.size) {
        sum += descend(network, input, objective, indices.slice(first, first + parts.size), weight);
      }
      return sum;
    });
    const [step, steps] = [i + 1, batches.length];
    const verdict = watch.judge(Number.isFinite(loss) && haveFiniteGradients(learnt));
    if (verdict === "done") {
      if (clip !== null) clipGradients(learnt, clip);
      adam.step(watch.rate * schedule(epoch * batches.length + i));
      yield { epoch, step, steps, loss, tokens: indices.length * tokens };
      continue;
    }
    for (const parameter of learnt) parameter.clearGrad();
    yield { fault: "skipped", step, steps, rate: watch.rate };
    if (verdict === "skipped") continue;
    start.restore();
    adam.reset();
    yield { fault: verdict, step, steps, rate: watch.rate };
    if (verdict === "given up") return false;
  }
  return true;
}

function haveFiniteGradients(parameters: readonly Tensor[]): boolean {
  return noGrad(() =>
    scope(() => {
      const gradients = parameters.map((parameter) => parameter.grad).filter((gradient) => gradient !== null);
      return gradients.length === 0 || allFinite(gradients).item() === 1;
    }),
  );
}

/** The loss of the network's output per token, with the weights that it has now. */
export function measureEndToEnd(
  network: Network,
  input: ActivationStore,
  objective: OutputObjective,
  parts: SequenceParts,
  sequences: number,
): number {
  const weight = 1 / (sequences * input.shape.tokens);
  let total = 0;
  parts.each(sequences, (part) => {
    noGrad(() =>
      scope(() => {
        const hidden = forwardAll(network.blocks, input.read(part), quantized);
        total += objective.measure(network.head, hidden, part, weight);
      }),
    );
  });
  return total;
}

// Adds the gradients of some sequences to those of the parameters, and gives their loss.
function descend(
  { blocks, head }: Network,
  input: ActivationStore,
  objective: OutputObjective,
  part: readonly number[],
  weight: number,
): number {
  const inputs = forward(blocks, () => input.read(part));
  let gradient: Tensor | null = null;
  try {
    const hidden = inputs.pop() as Tensor;
    let loss: number;
    try {
      const output = objective.descend(head, hidden, part, weight);
      gradient = output.gradient;
      loss = output.loss.item();
      output.loss.dispose();
    } finally {
      hidden.dispose();
    }
    for (const block of [...blocks].reverse()) {
      const before = inputs.pop() as Tensor;
      const after: Tensor = gradient;
      try {
        gradient = throughBlock(block, before, after, inputs.length > 0);
      } finally {
        before.dispose();
        after.dispose();
      }
    }
    return loss;
  } finally {
    gradient?.dispose();
    for (const tensor of inputs) tensor.dispose();
  }
}

// The input of every block, and the last one's output behind them.
function forward(blocks: readonly QuantizedBlock[], read: () => Tensor): Tensor[] {
  const hidden = [keep(noGrad(() => scope(read)))];
  try {
    for (const block of blocks) {
      const x = hidden[hidden.length - 1] as Tensor;
      hidden.push(keep(noGrad(() => scope(() => quantized(block, x)))));
    }
    return hidden;
  } catch (error) {
    for (const tensor of hidden) tensor.dispose();
    throw error;
  }
}

// From the gradient of a block's output to that of its input, and to those of its parameters on the way.
function throughBlock(block: QuantizedBlock, input: Tensor, gradient: Tensor, isWanted: boolean): Tensor {
  return withOperands(block, () =>
    keep(
      scope(() => {
        const leaf = input.detach();
        if (isWanted) leaf.requiresGrad_();
        backward([block.forwardQuantized(leaf)], [gradient]);
        backwardThroughPaths([...block.layers.values()]);
        return isWanted ? (leaf.grad as Tensor).detach() : leaf;
      }),
    ),
  );
}

function quantized(block: QuantizedBlock, x: Tensor): Tensor {
  return withOperands(block, () => block.forwardQuantized(x));
}

function withOperands<T>(block: QuantizedBlock, work: () => T): T {
  const layers = [...block.layers.values()];
  try {
    for (const layer of layers) layer.prepare();
    return work();
  } finally {
    for (const layer of layers) layer.release();
  }
}
