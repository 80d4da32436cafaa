import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { quantizedBits } from "../bits/bits-per-weight.js";
import type { ExportSource } from "../contract/export-source.js";
import type { InspectedTensor } from "../contract/inspected-tensor.js";
import { compareTensorNames } from "../contract/output-tensors.js";

/** Every tensor of a folder in the order of the names; codes are counted one Linear at a time. */
export async function* inspectSource(source: ExportSource): AsyncGenerator<InspectedTensor, void, undefined> {
  const names = [...source.linears.keys(), ...source.plain.keys()].sort(compareTensorNames);
  for (const name of names) {
    const info = source.plain.get(name);
    yield info === undefined ? inspectedWeight(name, await source.readQuantized(name)) : inspectedPlain(info);
  }
}

/** A tensor without codes, by what its header says. */
export function inspectedPlain({ name, shape, dtype, byteLength }: TensorInfo): InspectedTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const bitsPerWeight = count === 0 ? 0 : (byteLength * 8) / count;
  return { name, shape, type: dtype, bytes: byteLength, bitsPerWeight, codeBits: null, histogram: null, scales: null };
}

function inspectedWeight(name: string, weight: QuantizedWeight): InspectedTensor {
  const bits = quantizedBits(weight);
  const group = weight.perChannel ? "" : `g${weight.groupSize}`;
  return {
    name,
    shape: [weight.rows, weight.columns],
    type: `W${weight.groupBits === undefined ? weight.bits : groupWidths(weight.groupBits)}${group} ${weight.symmetric ? "sym" : "asym"}`,
    bytes: Math.ceil(bits / 8),
    bitsPerWeight: bits / (weight.rows * weight.columns),
    codeBits: weight.groupBits === undefined ? weight.bits : meanOf(weight.groupBits),
    histogram: histogramOf(weight.codes, 0, 2 ** weight.bits),
    scales: rangeOf(weight.scales),
  };
}

// "2.0 (1-3)": the mean over the groups, and which there are.
function groupWidths(groupBits: readonly number[]): string {
  return `${meanOf(groupBits).toFixed(1)} (${Math.min(...groupBits)}-${Math.max(...groupBits)})`;
}

function meanOf(groupBits: readonly number[]): number {
  return groupBits.reduce((sum, bits) => sum + bits, 0) / Math.max(1, groupBits.length);
}

/** How often each of `count` neighbouring integers occurs, from `lowest` on. */
export function histogramOf(codes: ArrayLike<number>, lowest: number, count: number): number[] {
  const histogram = new Array<number>(count).fill(0);
  for (let i = 0; i < codes.length; i++) {
    const bin = (codes[i] ?? 0) - lowest;
    histogram[bin] = (histogram[bin] ?? 0) + 1;
  }
  return histogram;
}

/** Smallest and largest of some values; null when there are none. */
export function rangeOf(values: Float32Array): readonly [number, number] | null {
  if (values.length === 0) return null;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
