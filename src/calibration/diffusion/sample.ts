import type { ImageNoise } from "./image-noise.js";
import type { Sampler } from "./sampler.js";

/** What a sampler asks the network for. */
export interface NetworkCall {
  /** Number of the step, counted from 0. */
  readonly step: number;
  /** What the network's sample input gets, `[images, size]`. */
  readonly x: Float32Array<ArrayBuffer>;
  /** What its time input gets, for all images. */
  readonly time: number;
}

/**
 * Goes a sampler's way from noise to images, `[images, size]`. Yields what the network is to be given, and takes its prediction
 * of the same size: so any network serves, whether it answers at once or later. Numbers are fp32 between steps and double in
 * one, so that all machines agree.
 */
export function* sample(
  { start, steps, clip }: Sampler,
  noise: ImageNoise,
): Generator<NetworkCall, Float32Array<ArrayBuffer>, Float32Array> {
  let x = noise.next().map((value) => value * start);
  let before = x;
  for (const [step, { time, scale, skip, out, keep, past, clean, noise: deviation }] of steps.entries()) {
    const prediction = yield { step, x: scale === 1 ? x : x.map((value) => value * scale), time };
    const added = deviation === 0 ? null : noise.next();
    const next = new Float32Array(x.length);
    for (let i = 0; i < x.length; i++) {
      const value = x[i] as number;
      const found = skip * value + out * (prediction[i] as number);
      const image = clip === null ? found : Math.min(clip, Math.max(-clip, found));
      const kept = keep * value + (past === 0 ? 0 : past * (before[i] as number));
      next[i] = kept + clean * image + (added === null ? 0 : deviation * (added[i] as number));
    }
    [before, x] = [x, next];
  }
  return x;
}
