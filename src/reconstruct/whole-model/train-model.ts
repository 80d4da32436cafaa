import type { TokenSequences } from "../../calibration/token-sequences.js";
import { Adam, allFinite, noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { OutputObjective } from "../objective/output-objective.js";
import type { StepReport, TrainingFault } from "../reconstruct.js";
import type { SequenceParts } from "../sequence-parts.js";
import { BestState } from "../training/best-state.js";
import { clipGradients } from "../training/clip-gradients.js";
import type { FaultWatch } from "../training/fault-watch.js";
import { shuffledBatches } from "../training/shuffled-batches.js";
import type { TrainedModel } from "./trained-model.js";

export interface ModelTrainingOptions {
  /** Steps of the whole training, and the first and the one after the last of this part of it. */
  readonly steps: number;
  readonly first: number;
  readonly end: number;
  /** Sequences per step. */
  readonly batch: number;
  readonly parts: SequenceParts;
  readonly seed: number;
  /** Factor of every rate at a step. */
  readonly schedule: (step: number) => number;
  /** AdamW's decay of matrices, at the full rate: `w -= rate decay w`. */
  readonly weightDecay: number;
  /** Longest gradient of the weights; null takes it as it is. */
  readonly clip: number | null;
  readonly watch: FaultWatch;
}

/** What a training optimises with. Clips of inputs learn without momentum and decay, as in the paper. */
export class ModelOptimiser implements Disposable {
  readonly #weights: Adam;
  readonly #clips: Adam;
  readonly #decayed: readonly Tensor[];

  constructor(
    model: TrainedModel,
    private readonly rates: { readonly weight: number; readonly input: number },
  ) {
    const weights = [...model.weights.values()];
    this.#decayed = weights.filter(({ shape }) => shape.length > 1);
    this.#weights = new Adam([{ parameters: weights, rate: rates.weight }], { beta2: BETA2 });
    this.#clips = new Adam(
      model.parameters
        .filter(({ role }) => role === "input")
        .map(({ tensor, bounds }) => ({ parameters: [tensor], rate: rates.input, bounds })),
      { beta1: 0, beta2: BETA2 },
    );
  }

  /** With `steps`, all that a continued training needs beside the parameters. */
  get moments(): readonly Tensor[] {
    return [...this.#weights.moments, ...this.#clips.moments];
  }

  get steps(): number {
    return this.#weights.steps;
  }

  set steps(count: number) {
    this.#weights.steps = count;
    this.#clips.steps = count;
  }

  /** Decoupled weight decay, then Adam. Source: AdamW (arXiv 1711.05101), algorithm 2. */
  step(schedule: number, decay: number): void {
    const kept = 1 - this.rates.weight * schedule * decay;
    if (kept !== 1) noGrad(() => this.#decayed.forEach((tensor) => void tensor.mul_(kept)));
    this.#weights.step(schedule);
    this.#clips.step(schedule);
    // A training without quantized inputs has no clips, whose Adam counts no step.
    this.#clips.steps = this.#weights.steps;
  }

  reset(): void {
    this.#weights.reset();
    this.#clips.reset();
  }

  [Symbol.dispose](): void {
    this.#weights.dispose();
    this.#clips.dispose();
  }
}

/** Second moments of language models are averaged over fewer steps than Adam's own 0.999 does. */
const BETA2 = 0.95;

/**
 * Trains a part of the steps of a training of a whole model. Yields a report for every step. A step whose loss or gradient is
 * not finite changes nothing; several put back the state at the part's start, and Adam begins anew. Returns whether training
 * can go on: false once it was given up.
 */
export function* trainModel(
  model: TrainedModel,
  optimiser: ModelOptimiser,
  text: TokenSequences,
  objective: OutputObjective,
  { steps, first, end, batch, parts, seed, schedule, weightDecay, clip, watch }: ModelTrainingOptions,
): Generator<StepReport | TrainingFault, boolean> {
  const weights = [...model.weights.values()];
  const learnt = model.parameters.map(({ tensor }) => tensor);
  using start = new BestState(model.parameters);
  const batches = new Batches(text.sequences, batch, seed);
  try {
    for (let at = first; at < end; at++) {
      const { epoch, indices } = batches.at(at);
      const loss = parts.attempt(() => {
        for (const parameter of learnt) parameter.clearGrad();
        return descend(model, text, objective, indices, parts.size);
      });
      const [step, count] = [at - first + 1, end - first];
      const verdict = watch.judge(Number.isFinite(loss) && haveFiniteGradients(learnt));
      if (verdict === "done") {
        if (clip !== null) clipGradients(weights, clip);
        optimiser.step(watch.rate * schedule(at), weightDecay);
        yield { epoch, step, steps: count, loss, tokens: indices.length * text.context };
        continue;
      }
      for (const parameter of learnt) parameter.clearGrad();
      yield { fault: "skipped", step, steps: count, rate: watch.rate };
      if (verdict === "skipped") continue;
      start.restore();
      optimiser.reset();
      yield { fault: verdict, step, steps: count, rate: watch.rate };
      if (verdict === "given up") return false;
    }
    return steps > 0;
  } finally {
    model.release();
  }
}

/** Steps of so many passes over the text. */
export function stepsOf(epochs: number, sequences: number, batch: number): number {
  return epochs * Math.ceil(sequences / batch);
}

/** The objective's loss of a token of the first sequences, with the weights that the model has now. */
export function measureModel(
  model: TrainedModel,
  { ids, context }: TokenSequences,
  objective: OutputObjective,
  parts: SequenceParts,
  sequences: number,
): number {
  model.prepare();
  try {
    let total = 0;
    const all = Array.from({ length: sequences }, (_, i) => i);
    const weight = 1 / objective.counted(all, context);
    parts.each(sequences, (part) => {
      total += model.measure(objective, {
        ids: idsOf(ids, context, part),
        shape: [part.length, context],
        part,
        weight,
      });
    });
    return total;
  } finally {
    model.release();
  }
}

/** Which sequences a step takes: every pass over the text has an order of its own. */
class Batches {
  #epoch = -1;
  #batches: readonly (readonly number[])[] = [];

  constructor(
    private readonly sequences: number,
    private readonly batch: number,
    private readonly seed: number,
  ) {}

  at(step: number): { readonly epoch: number; readonly indices: readonly number[] } {
    const each = Math.ceil(this.sequences / this.batch);
    const epoch = Math.floor(step / each);
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#batches = [...shuffledBatches(this.sequences, this.batch, this.seed + epoch)];
    }
    return { epoch, indices: this.#batches[step % each] as readonly number[] };
  }
}

// Gradients of a step, and its loss with the penalty.
function descend(
  model: TrainedModel,
  { ids, context }: TokenSequences,
  objective: OutputObjective,
  indices: readonly number[],
  size: number,
): number {
  model.prepare();
  const weight = 1 / objective.counted(indices, context);
  let sum = 0;
  for (let first = 0; first < indices.length; first += size) {
    const part = indices.slice(first, first + size);
    const shape = [part.length, context] as const;
    const share = part.length / indices.length;
    sum += model.descend(objective, { ids: idsOf(ids, context, part), shape, part, weight, share });
  }
  model.finish();
  return sum + model.penalised;
}

function idsOf(ids: Int32Array, context: number, part: readonly number[]): Int32Array {
  const chosen = new Int32Array(part.length * context);
  part.forEach(
    (sequence, i) => void chosen.set(ids.subarray(sequence * context, (sequence + 1) * context), i * context),
  );
  return chosen;
}

function haveFiniteGradients(parameters: readonly Tensor[]): boolean {
  return noGrad(() =>
    scope(() => {
      const gradients = parameters.map((parameter) => parameter.grad).filter((gradient) => gradient !== null);
      return gradients.length === 0 || allFinite(gradients).item() === 1;
    }),
  );
}
