import type { InspectedTensor } from "../contract/inspected-tensor.js";
import { compareTensorNames } from "../contract/output-tensors.js";
import { inspectedPlain } from "../onnx/inspect.js";
import { histogramOf, rangeOf } from "../source/inspect-source.js";
import type { QdqFile, QdqLayer } from "./read.js";

/** Every quantized layer and every other tensor of a file in the order of the names, one at a time. */
export async function* inspectQdq(file: QdqFile): AsyncGenerator<InspectedTensor, void, undefined> {
  const { tensors } = file.content;
  const parts = new Set([...file.layers.values()].flatMap((layer) => partsOf(layer)));
  const shown = new Map<string, () => InspectedTensor>([
    ...[...tensors.values()]
      .filter(({ name }) => !parts.has(name))
      .map((each) => [each.name, () => inspectedPlain(each)] as const),
    ...[...file.layers].map(([module, layer]) => [module, () => inspectedLayer(file, module, layer)] as const),
  ]);
  for (const name of [...shown.keys()].sort(compareTensorNames)) {
    const inspected = shown.get(name)?.();
    if (inspected !== undefined) yield inspected;
  }
}

/** The initializers that hold a layer's weight. */
export function partsOf({ stored: { codes, scales, zeroPoints } }: QdqLayer): readonly string[] {
  return zeroPoints === null ? [codes, scales] : [codes, scales, zeroPoints];
}

function inspectedLayer(file: QdqFile, module: string, layer: QdqLayer): InspectedTensor {
  const { layout, stored, input } = layer;
  const { bits, rows, columns, groupSize, perChannel, symmetric } = layout;
  const bytes = partsOf(layer).reduce((sum, part) => sum + (file.content.tensors.get(part)?.byteLength ?? 0), 0);
  const { codes, scales } = file.readQuantized(module);
  const inputs =
    input === null ? "" : `, inputs of ${input.grid.bits} bits${"keys" in input.grid ? " by time step" : ""}`;
  return {
    name: module,
    shape: [rows, columns],
    type: `W${bits}${perChannel ? "" : `g${groupSize}`} ${symmetric ? "sym" : "asym"} in ${stored.type}${inputs}`,
    bytes,
    bitsPerWeight: (bytes * 8) / (rows * columns),
    codeBits: bits,
    histogram: histogramOf(codes, 0, 2 ** bits),
    scales: rangeOf(scales),
  };
}
