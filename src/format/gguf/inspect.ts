import type { InspectedTensor } from "../contract/inspected-tensor.js";
import { compareTensorNames } from "../contract/output-tensors.js";
import { histogramOf, rangeOf } from "../source/inspect-source.js";
import { decodeBlocks, INTEGERS, isQuantizedType } from "./blocks/decode.js";
import type { GgufFile, GgufTensor } from "./read.js";

/** Every tensor of a file in the order of the names; blocks are taken apart one tensor at a time. */
export async function* inspectGguf(file: GgufFile): AsyncGenerator<InspectedTensor, void, undefined> {
  const names = [...file.tensors.keys()].sort(compareTensorNames);
  for (const name of names) {
    const tensor = file.tensors.get(name);
    if (tensor !== undefined) yield inspectedTensor(file, tensor);
  }
}

function inspectedTensor(file: GgufFile, { name, type, shape, byteLength }: GgufTensor): InspectedTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const bitsPerWeight = count === 0 ? 0 : (byteLength * 8) / count;
  const facts = { name, shape, type, bytes: byteLength, bitsPerWeight };
  if (!isQuantizedType(type)) return { ...facts, codeBits: null, histogram: null, scales: null };
  const { integers, scales } = decodeBlocks(type, file.readBytes(name));
  const { lowest, count: levels } = INTEGERS[type];
  const histogram = histogramOf(integers, lowest, levels);
  return { ...facts, codeBits: Math.log2(levels), histogram, scales: rangeOf(scales) };
}
