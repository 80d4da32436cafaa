import type { InspectedTensor } from "../contract/inspected-tensor.js";
import { compareTensorNames } from "../contract/output-tensors.js";
import { histogramOf, inspectedPlain, rangeOf } from "../source/inspect-source.js";
import { zeroPointsOf } from "./decode.js";
import type { MlxFolder, MlxModule } from "./read.js";

/** Every tensor of a folder in the order of the names; codes are counted one module at a time. */
export async function* inspectMlx(folder: MlxFolder): AsyncGenerator<InspectedTensor, void, undefined> {
  const names = [...folder.modules.keys(), ...folder.plain.keys()].sort(compareTensorNames);
  for (const name of names) {
    const info = folder.plain.get(name);
    const module = folder.modules.get(name);
    if (info !== undefined) yield inspectedPlain(info);
    else if (module !== undefined) yield await inspectedModule(folder, name, module);
  }
}

async function inspectedModule(folder: MlxFolder, name: string, module: MlxModule): Promise<InspectedTensor> {
  const { bits, groupSize, rows, columns, type, shape } = module;
  const weight = await folder.readAffine(name);
  const blocks = rows * (columns / groupSize);
  const bytes = (rows * columns * bits) / 8 + blocks * (type === "F32" ? 8 : 4);
  const middle = zeroPointsOf(weight)?.every((zeroPoint) => zeroPoint === 2 ** (bits - 1)) === true;
  return {
    name,
    shape: [...shape.slice(0, -1), columns],
    type: `W${bits}g${groupSize} ${middle ? "sym" : "asym"}, scales ${type}`,
    bytes,
    bitsPerWeight: (bytes * 8) / (rows * columns),
    codeBits: bits,
    histogram: histogramOf(weight.codes, 0, 2 ** bits),
    scales: rangeOf(weight.scales),
  };
}
