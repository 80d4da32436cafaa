import type { QuantizedWeight } from "../../../quant/quantized-weight.js";

/** Two rows of four codes, in groups of two. */
export const smallWeight: QuantizedWeight = {
  bits: 4,
  groupSize: 2,
  perChannel: false,
  symmetric: false,
  rows: 2,
  columns: 4,
  codes: Uint8Array.of(0, 1, 2, 3, 12, 13, 14, 15),
  scales: Float32Array.of(0.5, -0.25, 1, 2),
  zeroPoints: Uint8Array.of(1, 2, 0, 15),
};
