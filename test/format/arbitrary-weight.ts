import fc from "fast-check";
import { roundToHalf } from "../../src/format/bits/half.js";
import type { QuantizedWeight } from "../../src/quant/quantized-weight.js";

export interface WeightLimits {
  readonly bits: readonly number[];
  /** The sizes are multiples of these. */
  readonly rowStep?: number;
  readonly columnStep?: number;
  /** Most steps of columns in a group. */
  readonly largest?: number;
}

const scale = fc
  .float({ min: Math.fround(1e-5), max: 4096, noNaN: true })
  .chain((value) => fc.constantFrom(value, -value))
  .map(roundToHalf)
  .filter((value) => Math.abs(value) >= 1e-5);

/** Random sound weights: any codes, groups or one per row, symmetric or not, negative scales. */
export function arbitraryWeight({
  bits,
  rowStep = 1,
  columnStep = 1,
  largest = 40,
}: WeightLimits): fc.Arbitrary<QuantizedWeight> {
  return fc
    .record({
      bits: fc.constantFrom(...bits),
      rows: fc.integer({ min: 1, max: 9 }).map((n) => n * rowStep),
      groups: fc.integer({ min: 1, max: 4 }),
      groupSize: fc.integer({ min: 1, max: largest }).map((n) => n * columnStep),
      symmetric: fc.boolean(),
      channel: fc.boolean(),
    })
    .chain(({ bits, rows, groups, groupSize, symmetric, channel }) => {
      const columns = groups * groupSize;
      const perChannel = channel || groups === 1;
      const scales = rows * (perChannel ? 1 : groups);
      const top = 2 ** bits - 1;
      return fc.record({
        bits: fc.constant(bits),
        groupSize: fc.constant(perChannel ? columns : groupSize),
        perChannel: fc.constant(perChannel),
        symmetric: fc.constant(symmetric),
        rows: fc.constant(rows),
        columns: fc.constant(columns),
        codes: fc.uint8Array({ minLength: rows * columns, maxLength: rows * columns, max: top }),
        scales: fc.array(scale, { minLength: scales, maxLength: scales }).map((values) => Float32Array.from(values)),
        zeroPoints: symmetric
          ? fc.constant(new Uint8Array(scales).fill(2 ** (bits - 1)))
          : fc.uint8Array({ minLength: scales, maxLength: scales, max: top }),
      });
    });
}
