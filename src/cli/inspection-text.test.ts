import { expect, it } from "vitest";
import type { InspectedTensor, Inspection } from "../run/events/inspection.js";
import { formatInspection } from "./inspection-text.js";

const coded = (codeBits: number, levels: number): InspectedTensor => ({
  ...{ name: "w", shape: [2, 4], type: `W${codeBits}g4 sym`, bytes: 4, bitsPerWeight: 4, codeBits, scales: [1, 2] },
  histogram: new Array<number>(levels).fill(1),
});

/** The line of a result's sizes. */
function headline(tensors: readonly InspectedTensor[], meanCodeBits: number): string {
  const inspection: Inspection = {
    ...{ path: "out", format: "compressed-tensors", family: "llama", scheme: "W2A16g4", census: null, parameters: 16 },
    ...{ bytes: 8, bitsPerWeight: 4, quantizedBitsPerWeight: 4, tensors, meanCodeBits },
  };
  return formatInspection(inspection, { tensors: false }).split("\n").at(-2) ?? "";
}

it("tells the mean of codes that are not all as wide, also where it is a whole number", () => {
  expect(headline([coded(2, 4), coded(2, 4)], 2)).not.toContain("a code");
  // Groups of one to three bits, and Linears of two and four.
  expect(headline([coded(2, 8)], 2)).toMatch(/4\.000 where quantized, 2\.000 a code on average$/);
  expect(headline([coded(2, 4), coded(4, 16)], 3)).toMatch(/3\.000 a code on average$/);
});
