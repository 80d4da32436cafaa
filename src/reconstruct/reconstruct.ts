import { type PortStore, portOf } from "../calibration/port-store.js";
import { noGrad, scope, type Tensor } from "../tensor/index.js";
import { cosine } from "./objective/cosine.js";
import type { QuantizedUnit } from "./quantized-unit.js";
import type { ReconstructionLoss, ReconstructionOptions } from "./reconstruction-options.js";
import type { SequenceParts } from "./sequence-parts.js";
import { BestState } from "./training/best-state.js";
import { FaultWatch } from "./training/fault-watch.js";
import { Lookahead } from "./training/lookahead.js";
import { shuffledBatches } from "./training/shuffled-batches.js";
import { type StepPlan, TrainingStep } from "./training/training-step.js";
import { windowOutput } from "./training/window-output.js";
import { readNeeded, writtenPorts } from "./training/window-ports.js";

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
   * The loss grew far beyond that of the first step, or the last was not finite. `put back`: to an epoch that was better; `diverged`: there was
   * none, and the codes should come from elsewhere.
   */
  readonly fault: "skipped" | "rolled back" | "given up" | "put back" | "diverged";
  /** Counted from 1. */
  readonly step: number;
  readonly steps: number;
  /** What all rates are multiplied by from now on. */
  readonly rate: number;
}

/**
 * How often the loss of the first step the mean of an epoch may be: more is no noise between batches, and no window that
 * learns comes near it.
 */
const MOST_GROWTH = 10;

/**
 * Trains the roundings, scales, zero points and activation clips of a window so that its output from
 * the quantized stream meets the full-precision targets. Both branches of the paper's homologous
 * loss share one forward pass, because the quantized window sees the quantized stream in both.
 * Yields a report for every step of the optimiser, so that the caller can stop or report; on a device, which is not
 * waited for after each, several follow each other. A step whose loss or gradient is not finite changes nothing.
 * Returns whether anything was learnt: false after `given up` and `diverged`, and when no step succeeded.
 */
export function* reconstruct(
  blocks: readonly QuantizedUnit[],
  input: PortStore,
  targets: readonly PortStore[],
  options: ReconstructionOptions,
): Generator<StepReport | TrainingFault, boolean> {
  const parameters = blocks.flatMap((block) => block.parameters);
  const { sequences, tokens } = input.shape;
  const perEpoch = Math.ceil(sequences / options.batch);
  const steps = perEpoch * options.epochs;
  if (steps === 0 || parameters.length === 0) return true;
  using best = new BestState(parameters);
  const watch = new FaultWatch();
  // Soft roundings begin at the weight itself, and lose more the harder they get.
  const isSoft = blocks.some((block) => block.trained.some((layer) => layer.path?.hasPenalty === true));
  let first: number | null = isSoft ? Number.POSITIVE_INFINITY : null;
  const grew = (loss: number): boolean => first !== null && first > 0 && loss > MOST_GROWTH * first;
  // A step's loss is that of the state before it: what is not finite at the end, the steps before have broken.
  let [hasBest, mean, broken] = [false, Number.NaN, false];
  let at = 0;
  while (at < steps) {
    const start = at;
    const plans = planSteps(blocks, sequences, start, watch.rate, options);
    using training = new TrainingStep(blocks, input, targets, plans, options);
    const lookahead = new Lookahead();
    let losses: number[] = [];
    for (let restart = false; at < steps && !restart; ) {
      // Up to the end of an epoch, whose mean loss decides what the best state is.
      const epoch = Math.floor(at / perEpoch);
      const last = Math.min(at + (training.runsAhead ? lookahead.steps : 1), (epoch + 1) * perEpoch);
      const launched = last - at;
      if (at % perEpoch === 0) options.beforeEpoch?.(epoch);
      for (let i = 0; i < launched; i++) options.parts.attempt(() => training.run());
      if (training.runsAhead) options.whileDeviceWorks?.(lookahead.secondsFor(launched));
      for (const { loss, finite } of training.outcomes(at - start, last - start)) {
        const step = ++at;
        const verdict = watch.judge(finite);
        broken = !finite;
        if (verdict === "done") {
          losses.push(loss);
          first ??= loss;
          const batch = Math.min(options.batch, sequences - ((step - 1) % perEpoch) * options.batch);
          yield { epoch, step, steps, loss, tokens: batch * tokens };
          continue;
        }
        yield { fault: "skipped", step, steps, rate: watch.rate };
        if (verdict === "skipped") continue;
        best.restore();
        yield { fault: verdict, step, steps, rate: watch.rate };
        if (verdict === "given up") return false;
        restart = true;
        break;
      }
      lookahead.waitedFor(launched);
      if (at % perEpoch === 0 && losses.length > 0 && !restart) {
        mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
        // A first loss of 0 has nothing to grow from.
        if (!broken && !grew(mean)) {
          best.offer(mean);
          hasBest = true;
        }
        losses = [];
      }
    }
  }
  if (watch.done === 0) return false;
  if (!broken && !grew(mean)) return true;
  best.restore();
  yield { fault: hasBest ? "put back" : "diverged", step: steps, steps, rate: watch.rate };
  return hasBest;
}

/** The steps from `first` on, with all rates multiplied by `rate`. */
function planSteps(
  blocks: readonly QuantizedUnit[],
  sequences: number,
  first: number,
  rate: number,
  options: ReconstructionOptions,
): StepPlan[] {
  const batches = Array.from({ length: options.epochs }, (_, epoch) => [
    ...shuffledBatches(sequences, options.batch, options.seed + epoch),
  ]).flat();
  const steps = batches.length;
  return batches
    .map((indices, step) => ({
      indices,
      schedule: rate * cosine(step, steps, options.finalRate),
      penalty: penaltyAt(blocks, step / steps, options),
    }))
    .slice(first);
}

/** The sum of an error over all targets, and over the ports that the window writes. */
export function overTargets(error: (target: Tensor, actual: Tensor) => Tensor): ReconstructionLoss {
  return (actual, targets) =>
    targets
      .flatMap((target) => Object.entries(actual).map(([name, port]) => error(portOf(target, name), port)))
      .reduce((total, each) => total.add(each));
}

/** Numbers that are trained in these blocks. */
export function learntNumbers(blocks: readonly QuantizedUnit[]): number {
  return blocks.flatMap((block) => block.parameters).reduce((sum, { tensor }) => sum + tensor.numel, 0);
}

// L_com, a mean over the Linears that choose softly.
function penaltyAt(
  blocks: readonly QuantizedUnit[],
  progress: number,
  { penalty }: ReconstructionOptions,
): StepPlan["penalty"] {
  if (penalty === undefined) return [0, 1];
  const { weight, warmup, betaStart, betaEnd } = penalty;
  const soft = blocks.flatMap((block) => block.trained).filter((layer) => layer.path?.hasPenalty === true).length;
  const beta = betaStart + (betaEnd - betaStart) * Math.max(0, (progress - warmup) / Math.max(1e-9, 1 - warmup));
  return [soft === 0 || progress < warmup ? 0 : weight / soft, beta];
}

/** Reconstruction error of the window to each target with the weights it holds, over the first `sequences`. */
export function measureWindow(
  blocks: readonly QuantizedUnit[],
  input: PortStore,
  targets: readonly PortStore[],
  error: (target: Tensor, actual: Tensor) => Tensor,
  parts: SequenceParts,
  sequences: number,
): number[] {
  const totals = targets.map(() => 0);
  const written = writtenPorts(blocks);
  noGrad(() =>
    parts.each(sequences, (part) =>
      scope(() => {
        const actual = windowOutput(blocks, readNeeded(input, blocks, part));
        const errors = targets.map((target) =>
          overTargets(error)(actual, [target.read(part, undefined, written)]).item(),
        );
        errors.forEach((error, i) => {
          totals[i] = (totals[i] as number) + (error * part.length) / sequences;
        });
      }),
    ),
  );
  return totals;
}
