import { CalibrationError } from "../../errors.js";
import { numbersIn } from "../../tensor/index.js";
import { ImageNoise } from "./image-noise.js";
import { sample } from "./sample.js";
import type { Sampler } from "./sampler.js";

/** Predicts for images, given by their numbers: `x [images, ...shape]` and a time for all of them; the result has the size of x. */
export type Predict = (x: Float32Array<ArrayBuffer>, time: number, images: readonly number[]) => Float32Array;

/** How many images are sampled, and how. */
export interface TrajectoryOptions {
  readonly images: number;
  /** Images that pass the network at once; the result does not depend on it but for the rounding of the network's sums. */
  readonly batch: number;
  readonly seed: number;
  /** Of an image. */
  readonly shape: readonly number[];
  /** Called before each step of each batch; may throw to stop. */
  readonly poll?: (done: number, total: number) => void;
}

/** One way of the full-precision sampler: what the network was given at every step, and what came out. */
export interface Trajectory {
  readonly images: number;
  readonly shape: readonly number[];
  /** What the time input got, by step. */
  readonly times: readonly number[];
  /** What the sample input got, by step, `[images, ...shape]` each. */
  readonly inputs: readonly Float32Array<ArrayBuffer>[];
  /** `[images, ...shape]` */
  readonly results: Float32Array<ArrayBuffer>;
}

/**
 * Samples images once and keeps what the network saw. One trajectory serves the calibration of all steps: starting the
 * sampler again for each step, as the code of TFMQ-DM does, takes a time that grows with the square of their number.
 *
 * @throws CalibrationError where the sampler leaves the finite numbers
 */
export function recordTrajectory(sampler: Sampler, predict: Predict, options: TrajectoryOptions): Trajectory {
  const { images, batch, seed, shape, poll } = options;
  const size = numbersIn(shape);
  const inputs = sampler.steps.map(() => new Float32Array(images * size));
  const results = new Float32Array(images * size);
  const total = sampler.steps.length * Math.ceil(images / batch);
  let done = 0;
  for (let first = 0; first < images; first += batch) {
    const numbers = Array.from({ length: Math.min(batch, images - first) }, (_, i) => first + i);
    const way = sample(sampler, new ImageNoise(seed, numbers, size));
    let turn = way.next();
    while (turn.done !== true) {
      poll?.(done++, total);
      const { step, x, time } = turn.value;
      inputs[step]?.set(x, first * size);
      turn = way.next(finite(predict(x, time, numbers), time));
    }
    results.set(turn.value, first * size);
  }
  return { images, shape, times: sampler.steps.map(({ time }) => time), inputs, results };
}

function finite(prediction: Float32Array, time: number): Float32Array {
  if (prediction.every(Number.isFinite)) return prediction;
  throw new CalibrationError({
    what: "the network predicts numbers that are not finite",
    where: `the sampler, at time ${time}`,
    why: "the network is given other inputs than it was trained with: its schedule, or what it predicts, is another",
    next: "give the network's own: --set sampling.prediction, sampling.schedule, sampling.clip",
  });
}
