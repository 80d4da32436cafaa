import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import { BINARY_STEPS } from "../../quant/grid/group-grid.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { ExportSource } from "../contract/export-source.js";
import { readSound } from "../contract/output-tensors.js";

/**
 * The same result with its quantized weights as fp32 tensors, decoded one at a time. Written to a format and run beside
 * the quantized file, it shows what a runtime's own arithmetic on quantized types adds: the weights are the same.
 */
export function decodedSource(source: ExportSource): ExportSource {
  const plain = new Map(source.plain);
  for (const [module, { rows, columns }] of source.linears) {
    const name = `${module}.weight`;
    const info: TensorInfo = { name, dtype: "F32", shape: [rows, columns], file: "", byteLength: rows * columns * 4 };
    plain.set(name, info);
  }
  return {
    ...source,
    linears: new Map(),
    plain,
    readPacked: undefined,
    async readPlain(name) {
      const module = name.slice(0, -".weight".length);
      const layout = source.linears.get(module);
      if (layout === undefined || source.plain.has(name)) return source.readPlain(name);
      return new Uint8Array(decodedValues(await readSound(source, module, layout)).buffer);
    },
    async readQuantized(name) {
      throw new FormatError({
        what: "its codes were asked for, and only its values are here",
        where: name,
        next: "read the codes from the result itself",
      });
    },
  };
}

/** `scale * (code - zeroPoint)` of every weight, in fp32. */
export function decodedValues({
  codes,
  scales,
  zeroPoints,
  groupSize,
  groupBits,
}: QuantizedWeight): Float32Array<ArrayBuffer> {
  const values = new Float32Array(codes.length);
  for (let group = 0; group < scales.length; group++) {
    const scale = scales[group] ?? Number.NaN;
    const units = groupBits?.[group % groupBits.length] === 1 ? BINARY_STEPS : 1;
    const zeroPoint = (zeroPoints[group] ?? 0) / units;
    const end = (group + 1) * groupSize;
    for (let e = group * groupSize; e < end; e++) values[e] = scale * ((codes[e] ?? 0) - zeroPoint);
  }
  return values;
}
