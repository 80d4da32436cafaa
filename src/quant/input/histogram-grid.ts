import { levels } from "../scheme.js";
import type { TensorGrid } from "./asymmetric-tensor.js";

/** Numbers of a tensor by where they lie between two ends, in bins of equal width. */
export interface Histogram {
  readonly low: number;
  readonly high: number;
  /** How many lie in each bin. */
  readonly counts: Float64Array;
}

/** How far an end is drawn in, in shares of its side: 1 to 0.02. */
const SHARES = Array.from({ length: 50 }, (_, i) => 1 - i / 51);

/**
 * The asymmetric grid with zero on it that loses least of numbers: both ends are drawn in together and apart, and
 * `sum |x^ - x|^power` over the middles of the bins decides. The range holds zero, also where all numbers have one sign.
 *
 * @param power 2 for the squared error; BRECQ (arXiv 2102.05426) takes 2.4 in its released code
 */
export function gridOfHistogram(histogram: Histogram, bits: number, power = 2): TensorGrid {
  const { low, high } = histogram;
  let best = gridOf(low, high, bits);
  let least = lost(histogram, best, bits, power);
  const lows = low < 0 ? SHARES : [1];
  const highs = high > 0 ? SHARES : [1];
  for (const below of lows) {
    for (const above of highs) {
      const grid = gridOf(low * below, high * above, bits);
      const loss = lost(histogram, grid, bits, power);
      if (loss < least) [best, least] = [grid, loss];
    }
  }
  return best;
}

/** The grid from `low` to `high` or a little beyond; zero is one of its levels. */
export function gridOf(low: number, high: number, bits: number): TensorGrid {
  const top = levels(bits) - 1;
  // BRECQ's released search may leave zero out of the range of numbers of one sign: then no code stands for it.
  const [least, most] = [Math.min(low, 0), Math.max(high, 0)];
  // As the numbers are stored: fp32.
  const scale = Math.fround(Math.max(most - least, 1e-6) / top);
  return { scale, zeroPoint: Math.min(top, Math.max(0, Math.round(-least / scale))) };
}

function lost({ low, high, counts }: Histogram, { scale, zeroPoint }: TensorGrid, bits: number, power: number): number {
  const top = levels(bits) - 1;
  const width = (high - low) / counts.length;
  let sum = 0;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] as number;
    if (count === 0) continue;
    const x = low + (i + 0.5) * width;
    const code = Math.min(top, Math.max(0, Math.round(x / scale) + zeroPoint));
    const error = Math.abs((code - zeroPoint) * scale - x);
    sum += count * (power === 2 ? error * error : error ** power);
  }
  return sum;
}
