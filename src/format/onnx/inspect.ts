import type { InspectedTensor } from "../contract/inspected-tensor.js";
import { compareTensorNames } from "../contract/output-tensors.js";
import { histogramOf, rangeOf } from "../source/inspect-source.js";
import type { OnnxFile, OnnxFileTensor, StoredLinear } from "./read.js";

/** Every quantized Linear and every other tensor of a file in the order of the names, one at a time. */
export async function* inspectOnnx(file: OnnxFile): AsyncGenerator<InspectedTensor, void, undefined> {
  const parts = new Set<string | null>();
  for (const { codes, scales, zeroPoints } of file.linears.values()) parts.add(codes).add(scales).add(zeroPoints);
  const plain = [...file.tensors.values()].filter(({ name, location }) => location !== null && !parts.has(name));
  const shown = new Map<string, () => InspectedTensor>([
    ...plain.map((tensor) => [tensor.name, () => inspectedPlain(tensor)] as const),
    ...[...file.linears].map(([module, linear]) => [module, () => inspectedLinear(file, module, linear)] as const),
  ]);
  for (const name of [...shown.keys()].sort(compareTensorNames)) {
    const inspected = shown.get(name)?.();
    if (inspected !== undefined) yield inspected;
  }
}

/** A tensor of an ONNX file that holds no codes. */
export function inspectedPlain({ name, shape, dataType, byteLength }: OnnxFileTensor): InspectedTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const bitsPerWeight = count === 0 ? 0 : (byteLength * 8) / count;
  return {
    name,
    shape,
    type: dataType,
    bytes: byteLength,
    bitsPerWeight,
    codeBits: null,
    histogram: null,
    scales: null,
  };
}

function inspectedLinear(file: OnnxFile, module: string, linear: StoredLinear): InspectedTensor {
  const { rows, columns, bits, blockSize } = linear;
  const parts = [linear.codes, linear.scales, linear.zeroPoints];
  const bytes = parts.reduce((sum, part) => sum + (part === null ? 0 : (file.tensors.get(part)?.byteLength ?? 0)), 0);
  const { codes, scales } = file.readQuantized(module);
  return {
    name: module,
    shape: [rows, columns],
    type: `${bits} bits, blocks of ${blockSize}${linear.zeroPoints === null ? "" : ", zero points"}`,
    bytes,
    bitsPerWeight: (bytes * 8) / (rows * columns),
    codeBits: bits,
    histogram: histogramOf(codes, 0, 2 ** bits),
    scales: rangeOf(scales),
  };
}
