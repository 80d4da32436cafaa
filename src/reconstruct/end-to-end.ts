import { mapPorts, type Ports, portOf, type StreamShape } from "../calibration/port-store.js";
import type { NetworkEnd } from "../network/index.js";
import type { Parameter, Rates } from "../quant/parameter.js";
import { type Adam, allFinite, backward, keep, noGrad, scope, type Tensor } from "../tensor/index.js";
import type { OutputObjective } from "./objective/output-objective.js";
import { backwardThroughPaths } from "./quantized-layer.js";
import { forwardAll, type QuantizedUnit } from "./quantized-unit.js";
import type { StepReport, TrainingFault } from "./reconstruct.js";
import type { SequenceParts } from "./sequence-parts.js";
import { descendThroughUnits, gradientsOfInputs } from "./through-units.js";
import { BestState } from "./training/best-state.js";
import { clipGradients } from "./training/clip-gradients.js";
import { decayWeights } from "./training/decay-weights.js";
import type { FaultWatch } from "./training/fault-watch.js";
import { shuffledBatches } from "./training/shuffled-batches.js";

/** Where the first unit's input comes from. */
export interface NetworkInput {
  readonly shape: Pick<StreamShape, "sequences" | "tokens">;
  /** What the first unit reads of some sequences. */
  read(part: readonly number[]): Ports;
  /** Takes the gradients of what `read` gave of them, where something before the units is trained. */
  collect?(part: readonly number[], gradients: Ports): void;
}

/** A network whose units all learn at once. */
export interface TrainedNetwork {
  readonly blocks: readonly QuantizedUnit[];
  readonly input: NetworkInput;
  readonly end: Pick<NetworkEnd, "port" | "head">;
  /** What is trained beside the blocks: leaves that `input.collect` or the head give gradients. */
  readonly beside?: readonly Parameter[];
}

export interface EndToEndEpoch {
  /** Counted from 0. */
  readonly epoch: number;
  /** Which of so many equal shares of its steps; the whole epoch where it is left out. */
  readonly piece?: readonly [index: number, pieces: number];
  /** Sequences per optimisation step. */
  readonly batch: number;
  readonly parts: SequenceParts;
  /** Of the order of the sequences. */
  readonly seed: number;
  /** Factor of every rate at the step of this number, counted from 0 over all epochs. */
  readonly schedule: (step: number) => number;
  /** Longest gradient of a step, over all that is trained; null takes it as it is. */
  readonly clip?: number | null;
  /** Decoupled weight decay by role, and the rates that it is in proportion to. */
  readonly decay?: { readonly rates: Rates; readonly by: Rates };
  /** Judges the steps of all epochs. */
  readonly watch: FaultWatch;
}

/**
 * Trains what the blocks' layers have to learn on the network's output, the probabilities of the next token: one pass over
 * the sequences, or a piece of one. Blocks keep nothing but their inputs on the way forward and are computed
 * once more on the way back, so memory holds the activations of a single block.
 * Yields a report for every step. A step whose loss or gradient is not finite changes nothing; several put back the
 * state at its start, and Adam begins anew. Returns whether training can go on: false once it was given up.
 * Source: E2E-QP in EfficientQAT (arXiv 2407.11062), section 3.3.
 */
export function* trainEndToEnd(
  network: TrainedNetwork,
  adam: Adam,
  objective: OutputObjective,
  { epoch, piece: [index, pieces] = [0, 1], batch, parts, seed, schedule, clip = null, decay, watch }: EndToEndEpoch,
): Generator<StepReport | TrainingFault, boolean> {
  const { sequences, tokens } = network.input.shape;
  const parameters = [...network.blocks.flatMap((block) => block.parameters), ...(network.beside ?? [])];
  const learnt = parameters.map(({ tensor }) => tensor);
  using start = new BestState(parameters);
  const batches = [...shuffledBatches(sequences, batch, seed)];
  const [from, to] = [index, index + 1].map((at) => Math.floor((batches.length * at) / pieces)) as [number, number];
  for (const [i, indices] of batches.slice(from, to).entries()) {
    const weight = 1 / objective.counted(indices, tokens);
    const loss = parts.attempt(() => {
      for (const parameter of learnt) parameter.clearGrad();
      let sum = 0;
      for (let first = 0; first < indices.length; first += parts.size) {
        sum += descend(network, objective, indices.slice(first, first + parts.size), weight);
      }
      return sum;
    });
    const [step, steps] = [i + 1, to - from];
    const verdict = watch.judge(Number.isFinite(loss) && haveFiniteGradients(learnt));
    if (verdict === "done") {
      if (clip !== null) clipGradients(learnt, clip);
      const rate = watch.rate * schedule(epoch * batches.length + from + i);
      if (decay !== undefined) decayWeights(parameters, decay, rate);
      adam.step(rate);
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
  network: TrainedNetwork,
  objective: OutputObjective,
  parts: SequenceParts,
  sequences: number,
): number {
  const { input } = network;
  const all = Array.from({ length: sequences }, (_, i) => i);
  const weight = 1 / objective.counted(all, input.shape.tokens);
  let total = 0;
  parts.each(sequences, (part) => {
    noGrad(() =>
      scope(() => {
        const output = forwardAll(network.blocks, input.read(part), forwardLearning);
        total += objective.measure(network.end.head, portOf(output, network.end.port), part, weight);
      }),
    );
  });
  return total;
}

// Adds the gradients of some sequences to those of the parameters, and gives their loss.
function descend(
  { blocks, input, end }: TrainedNetwork,
  objective: OutputObjective,
  part: readonly number[],
  weight: number,
): number {
  const units = blocks.map((block) => ({
    forward: (x: Ports) => forwardLearning(block, x),
    backward: (before: Ports, gradients: Ports, isFirst: boolean) =>
      throughUnit(block, before, gradients, !isFirst || input.collect !== undefined),
  }));
  return descendThroughUnits(
    units,
    () => input.read(part),
    end,
    (output) => objective.descend(end.head, output, part, weight),
    (gradients) => input.collect?.(part, gradients),
  );
}

// From the gradients of a unit's output to those of its input, and to those of its parameters on the way. Ports without a
// gradient are those that nothing reads behind it.
function throughUnit(unit: QuantizedUnit, input: Ports, gradients: Ports, isWanted: boolean): Ports {
  return withOperands(unit, () =>
    mapPorts(
      scope(() => {
        const leaves = mapPorts(input, (tensor) => {
          const leaf = tensor.detach();
          return isWanted ? leaf.requiresGrad_() : leaf;
        });
        const output = unit.forwardQuantized(leaves);
        // A first unit that trains nothing, or a port that nothing trained reaches, has nothing to pass back.
        const written = Object.entries(gradients).filter(
          ([name]) => unit.plan.writes.includes(name) && portOf(output, name).requiresGrad,
        );
        if (written.length > 0) {
          backward(
            written.map(([name]) => portOf(output, name)),
            written.map(([, gradient]) => gradient),
          );
        }
        backwardThroughPaths([...unit.layers.values()]);
        return isWanted ? gradientsOfInputs(leaves, gradients, unit.plan.writes) : {};
      }),
      keep,
    ),
  );
}

/** A unit whose layers learn, with the weights that they have now. */
export function forwardLearning(block: QuantizedUnit, x: Ports): Ports {
  return withOperands(block, () => block.forwardQuantized(x));
}

function withOperands<T>(block: QuantizedUnit, work: () => T): T {
  const layers = [...block.layers.values()];
  try {
    for (const layer of layers) layer.prepare();
    return work();
  } finally {
    for (const layer of layers) layer.release();
  }
}
