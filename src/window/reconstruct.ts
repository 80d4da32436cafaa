import type { ActivationStore } from "../calibration/activation-store.js";
import type { Commitment } from "../quant/rounding/rounding.js";
import { Adam, backward, noGrad, scope } from "../tensor/index.js";
import { cosine } from "./cosine.js";
import { type ObjectiveOptions, reconstructionError } from "./objective.js";
import { forwardAll, type QuantizedBlock } from "./quantized-block.js";
import type { QuantizedLayer } from "./quantized-layer.js";
import { shuffledBatches } from "./shuffled-batches.js";

/** How the roundings of a window are trained together. */
export interface ReconstructionOptions {
  readonly epochs: number;
  /** Sequences per step of the optimiser. */
  readonly batch: number;
  /** Sequences on the device at once; the result does not depend on it. */
  readonly microBatch: number;
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
  /** Reconstruction loss of the last step, all branches; null on steps where it was not read back. */
  readonly loss: number | null;
  readonly tokens: number;
}

/** Reading a loss waits for the device; once in so many steps is enough for a progress line. */
const LOSS_INTERVAL = 8;

/**
 * Trains the roundings, scales, zero points and activation clips of a window so that its output from
 * the quantized stream meets the full-precision targets. Both branches of the paper's homologous
 * loss share one forward pass, because the quantized window sees the quantized stream in both.
 * Yields after every step of the optimiser, so that the caller can stop or report.
 */
export function* reconstruct(
  blocks: readonly QuantizedBlock[],
  input: ActivationStore,
  branches: readonly Branch[],
  options: ReconstructionOptions,
): Generator<StepReport, void> {
  const layers = trainedLayers(blocks);
  const { sequences, tokens } = input.shape;
  const stepsPerEpoch = Math.ceil(sequences / options.batch);
  const steps = stepsPerEpoch * options.epochs;
  if (steps === 0 || layers.length === 0) return;
  using adam = new Adam([
    { rate: options.rates.rounding, parameters: layers.flatMap((layer) => layer.rounding?.parameters.rounding ?? []) },
    { rate: options.rates.scale, parameters: layers.flatMap((layer) => layer.rounding?.parameters.scale ?? []) },
    {
      rate: options.rates.zeroPoint,
      parameters: layers.flatMap((layer) => layer.rounding?.parameters.zeroPoint ?? []),
    },
    { rate: options.rates.activation, parameters: layers.flatMap((layer) => layer.activation?.parameters ?? []) },
  ]);
  let step = 0;
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    for (const indices of shuffledBatches(sequences, options.batch, options.seed + epoch)) {
      const wanted = step % LOSS_INTERVAL === 0 || step === steps - 1;
      const loss = trainingStep(blocks, layers, input, branches, indices, step / steps, options, wanted);
      adam.step(cosine(step, steps, options.finalRate));
      for (const layer of layers) {
        layer.rounding?.project();
        layer.activation?.project();
      }
      step++;
      yield { epoch, step, steps, loss, tokens: indices.length * tokens };
    }
  }
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
  wanted: boolean,
): number | null {
  const commitment = commitmentAt(layers, progress, options);
  for (const layer of layers) layer.prepare(commitment);
  let total = 0;
  for (let first = 0; first < indices.length; first += options.microBatch) {
    const part = indices.slice(first, first + options.microBatch);
    scope(() => {
      const share = part.length / indices.length;
      const actual = forwardAll(blocks, input.read(part), (block, x) => block.forwardQuantized(x));
      const errors = branches.map(({ target, meanSquare }) =>
        reconstructionError(target.read(part), actual, options.objective, meanSquare),
      );
      const loss = errors.reduce((sum, error) => sum.add(error)).mul(share);
      backward(loss);
      if (wanted) total += loss.item();
    });
  }
  scope(() => {
    const collected = layers.map((layer) => layer.collected()).filter((pair) => pair !== null);
    backward(
      collected.map((pair) => pair.soft),
      collected.map((pair) => pair.gradient),
    );
  });
  return wanted ? total : null;
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
  microBatch: number,
  sequences: number,
): number[] {
  const totals = branches.map(() => 0);
  noGrad(() => {
    for (let first = 0; first < sequences; first += microBatch) {
      const part = Array.from({ length: Math.min(microBatch, sequences - first) }, (_, i) => first + i);
      scope(() => {
        const actual = forwardAll(blocks, input.read(part), (block, x) => block.forwardQuantized(x));
        branches.forEach(({ target, meanSquare }, i) => {
          const error = reconstructionError(target.read(part), actual, objective, meanSquare).item();
          totals[i] = (totals[i] as number) + (error * part.length) / sequences;
        });
      });
    }
  });
  return totals;
}
