import type { ActivationStore } from "../calibration/activation-store.js";
import type { Commitment, RoundingParameters } from "../quant/rounding/rounding.js";
import { Adam, backward, keep, noGrad, scope, Tensor } from "../tensor/index.js";
import { BestState } from "./best-state.js";
import { cosine } from "./cosine.js";
import { type ObjectiveOptions, reconstructionError } from "./objective.js";
import { forwardAll, type QuantizedBlock } from "./quantized-block.js";
import type { QuantizedLayer } from "./quantized-layer.js";
import type { SequenceParts } from "./sequence-parts.js";
import { shuffledBatches } from "./shuffled-batches.js";

/** How the roundings of a window are trained together. */
export interface ReconstructionOptions {
  readonly epochs: number;
  /** Sequences per step of the optimiser. */
  readonly batch: number;
  /** Sequences on the device at once; the result does not depend on it. */
  readonly parts: SequenceParts;
  readonly seed: number;
  readonly objective: ObjectiveOptions;
  readonly rates: {
    readonly rounding: number;
    readonly scale: number;
    readonly zeroPoint: number;
    readonly activation: number;
  };
  /** Share of every rate that is left at the last step of the cosine. */
  readonly finalRate: number;
  readonly regulariser: {
    readonly weight: number;
    /** Share of the steps without it. */
    readonly warmup: number;
    readonly betaStart: number;
    readonly betaEnd: number;
  };
}

/** A stream that enters the window, and what the full-precision window makes of it. */
export interface Branch {
  readonly name: "full" | "quantized";
  readonly target: ActivationStore;
  /** Mean square of the target over all sequences. */
  readonly meanSquare: number;
}

/** A branch over targets that are complete: takes the store over. */
export function branchOf(name: Branch["name"], target: ActivationStore): Branch {
  const { sequences } = target.shape;
  let sum = 0;
  noGrad(() => {
    for (let i = 0; i < sequences; i++) {
      sum += scope(() => target.read([i]).to("float32").square().mean().item());
    }
  });
  return { name, target, meanSquare: sum / sequences };
}

export interface StepReport {
  readonly epoch: number;
  readonly step: number;
  readonly steps: number;
  /** Reconstruction loss of the step, all branches. */
  readonly loss: number;
  readonly tokens: number;
}

/** What went wrong in training, and what was done about it. */
export interface TrainingFault {
  /**
   * The loss or a gradient was not finite. `skipped`: the step did nothing. `rolled back`: after several
   * such steps the best state was put back, and training goes on at a lower rate. `given up`: that did
   * not help either; the best state stays, and the codes should come from elsewhere.
   */
  readonly fault: "skipped" | "rolled back" | "given up";
  /** Counted from 1. */
  readonly step: number;
  readonly steps: number;
  /** What all rates are multiplied by from now on. */
  readonly rate: number;
}

/** Steps in a row that may be skipped before the window is rolled back. */
const MOST_SKIPPED = 3;
/** How often a window is rolled back before its training is given up. */
const MOST_ROLLBACKS = 2;
/** What the rates are multiplied by then. */
const LOWER_RATE = 0.1;

/**
 * Trains the roundings, scales, zero points and activation clips of a window so that its output from
 * the quantized stream meets the full-precision targets. Both branches of the paper's homologous
 * loss share one forward pass, because the quantized window sees the quantized stream in both.
 * Yields after every step of the optimiser, so that the caller can stop or report. A step whose loss or
 * gradient is not finite changes nothing. Returns whether anything was
 * learnt: false after `given up`, and when no step succeeded.
 */
export function* reconstruct(
  blocks: readonly QuantizedBlock[],
  input: ActivationStore,
  branches: readonly Branch[],
  options: ReconstructionOptions,
): Generator<StepReport | TrainingFault, boolean> {
  const layers = trainedLayers(blocks);
  const { sequences, tokens } = input.shape;
  const steps = Math.ceil(sequences / options.batch) * options.epochs;
  if (steps === 0 || layers.length === 0) return true;
  using best = new BestState(layers);
  let adam = optimiser(layers, options);
  let [step, done, skipped, rollbacks, rate] = [0, 0, 0, 0, 1];
  try {
    for (let epoch = 0; epoch < options.epochs; epoch++) {
      const losses: number[] = [];
      for (const indices of shuffledBatches(sequences, options.batch, options.seed + epoch)) {
        const progress = step++ / steps;
        const { loss, finite } = options.parts.attempt(() =>
          trainingStep(blocks, layers, input, branches, indices, progress, options),
        );
        if (finite) {
          done++;
          skipped = 0;
          losses.push(loss);
          adam.step(rate * cosine(step - 1, steps, options.finalRate));
          for (const layer of layers) {
            layer.rounding?.project();
            layer.activation?.project();
          }
          yield { epoch, step, steps, loss, tokens: indices.length * tokens };
          continue;
        }
        yield { fault: "skipped", step, steps, rate };
        if (++skipped < MOST_SKIPPED) continue;
        best.restore();
        if (++rollbacks > MOST_ROLLBACKS) {
          yield { fault: "given up", step, steps, rate };
          return false;
        }
        adam.dispose();
        adam = optimiser(layers, options);
        skipped = 0;
        rate *= LOWER_RATE;
        yield { fault: "rolled back", step, steps, rate };
      }
      if (losses.length > 0) best.offer(losses.reduce((sum, loss) => sum + loss, 0) / losses.length);
    }
    return done > 0;
  } finally {
    adam.dispose();
  }
}

function optimiser(layers: readonly QuantizedLayer[], { rates }: ReconstructionOptions): Adam {
  const of = (kind: keyof RoundingParameters): Tensor[] =>
    layers.flatMap((layer) => [...(layer.rounding?.parameters[kind] ?? [])]);
  return new Adam([
    { rate: rates.rounding, parameters: of("rounding") },
    { rate: rates.scale, parameters: of("scale") },
    { rate: rates.zeroPoint, parameters: of("zeroPoint") },
    { rate: rates.activation, parameters: layers.flatMap((layer) => layer.activation?.parameters ?? []) },
  ]);
}

/** The Linears of a window that still learn. */
export function trainedLayers(blocks: readonly QuantizedBlock[]): QuantizedLayer[] {
  return blocks.flatMap((block) => [...block.layers.values()]).filter((layer) => layer.rounding !== null);
}

function trainingStep(
  blocks: readonly QuantizedBlock[],
  layers: readonly QuantizedLayer[],
  input: ActivationStore,
  branches: readonly Branch[],
  indices: readonly number[],
  progress: number,
  options: ReconstructionOptions,
): { readonly loss: number; readonly finite: boolean } {
  const parameters = layers.flatMap((layer) => layer.learnt);
  // What a step that was cut short has left.
  for (const parameter of parameters) parameter.clearGrad();
  const commitment = commitmentAt(layers, progress, options);
  for (const layer of layers) layer.prepare(commitment);
  const losses: Tensor[] = [];
  try {
    for (let first = 0; first < indices.length; first += options.parts.size) {
      const part = indices.slice(first, first + options.parts.size);
      scope(() => {
        const share = part.length / indices.length;
        const actual = forwardAll(blocks, input.read(part), (block, x) => block.forwardQuantized(x));
        const errors = branches.map(({ target, meanSquare }) =>
          reconstructionError(target.read(part), actual, options.objective, meanSquare),
        );
        const loss = errors.reduce((sum, error) => sum.add(error)).mul(share);
        backward(loss);
        losses.push(keep(loss.detach()));
      });
    }
    scope(() => {
      const collected = layers.map((layer) => layer.collected()).filter((pair) => pair !== null);
      backward(
        collected.map((pair) => pair.soft),
        collected.map((pair) => pair.gradient),
      );
    });
    const { loss, gradient } = readBack(losses, parameters);
    const finite = Number.isFinite(loss) && Number.isFinite(gradient);
    if (!finite) for (const parameter of parameters) parameter.clearGrad();
    return { loss, finite };
  } finally {
    for (const loss of losses) loss.dispose();
  }
}

// The loss, and the sum of all gradients, which is finite when they are: two numbers, read at once,
// because the device is waited for.
function readBack(losses: readonly Tensor[], parameters: readonly Tensor[]): { loss: number; gradient: number } {
  return noGrad(() =>
    scope(() => {
      const gradients = parameters.map((parameter) => parameter.grad?.sum() ?? null).filter((sum) => sum !== null);
      const sums = [
        Tensor.stack(losses).sum(),
        Tensor.stack([...gradients, Tensor.zeros([], { device: losses[0]?.device ?? "cpu" })]).sum(),
      ];
      const [loss = 0, gradient = 0] = Tensor.stack(sums).toFloat32Array();
      return { loss, gradient };
    }),
  );
}

// L_com, a mean over the Linears that choose softly.
function commitmentAt(
  layers: readonly QuantizedLayer[],
  progress: number,
  { regulariser: { weight, warmup, betaStart, betaEnd } }: ReconstructionOptions,
): Commitment | null {
  const soft = layers.filter((layer) => layer.rounding?.commits === true).length;
  if (weight === 0 || soft === 0 || progress < warmup) return null;
  const beta = betaStart + (betaEnd - betaStart) * ((progress - warmup) / Math.max(1e-9, 1 - warmup));
  return { weight: weight / soft, beta };
}

/** Reconstruction error of the window per branch with the weights it holds, over the first `sequences`. */
export function measureWindow(
  blocks: readonly QuantizedBlock[],
  input: ActivationStore,
  branches: readonly Branch[],
  objective: ObjectiveOptions,
  parts: SequenceParts,
  sequences: number,
): number[] {
  const totals = branches.map(() => 0);
  noGrad(() =>
    parts.each(sequences, (part) =>
      scope(() => {
        const actual = forwardAll(blocks, input.read(part), (block, x) => block.forwardQuantized(x));
        const errors = branches.map(({ target, meanSquare }) =>
          reconstructionError(target.read(part), actual, objective, meanSquare).item(),
        );
        errors.forEach((error, i) => {
          totals[i] = (totals[i] as number) + (error * part.length) / sequences;
        });
      }),
    ),
  );
  return totals;
}
