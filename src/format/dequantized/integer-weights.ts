import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { viewInt32 } from "../bits/typed-view.js";
import { decodeWeight } from "../compressed-tensors/decode.js";
import { GROUP_INDEX, PACKED, PLAIN_WEIGHT, SCALE, SHAPE, ZERO_POINT } from "../compressed-tensors/layout.js";
import { type GroupScheme, groupFor } from "../compressed-tensors/scheme-groups.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import type { StoredTensor } from "../source/stored-tensor.js";
import { type EncodedWeight, malformed, requirePart, type StoredTensors } from "./encoded-weight.js";

/**
 * Weights in integer codes of compressed-tensors: `pack-quantized`, and `int-quantized` in eight bits. Columns may lie in
 * activation order (`weight_g_idx`).
 *
 * @throws CheckpointError for parts that are missing or have another shape; FormatError for codes that do not fit
 */
export function integerWeights(stored: StoredTensors, groups: readonly GroupScheme[]): readonly EncodedWeight[] {
  return [...stored.tensors.values()].flatMap((info) => {
    const packed = info.name.endsWith(`.${PACKED}`);
    if (!packed && !(info.name.endsWith(`.${PLAIN_WEIGHT}`) && info.dtype === "I8")) return [];
    const module = info.name.slice(0, info.name.lastIndexOf("."));
    const scheme = groupFor(module, groups);
    if (scheme === undefined) throw malformed(stored, info.name, "no group of quantization_config targets this module");
    return [integerWeight(stored, module, info, packed, scheme)];
  });
}

function integerWeight(
  stored: StoredTensors,
  module: string,
  codes: TensorInfo,
  packed: boolean,
  { bits, symmetric, groupSize }: GroupScheme,
): EncodedWeight {
  const part = (name: string): string => `${module}.${name}`;
  const [rows = 0, width = 0] = codes.shape;
  const shape = packed ? storedShape(stored, part(SHAPE), codes.name) : [rows, width];
  const columns = shape[1] ?? 0;
  if (codes.shape.length !== 2 || shape[0] !== rows || (packed && width !== Math.ceil((columns * bits) / 32))) {
    throw malformed(
      stored,
      codes.name,
      `codes of shape [${codes.shape.join(", ")}] for a weight of shape [${shape.join(", ")}] in ${bits} bits`,
    );
  }
  const size = groupSize ?? columns;
  if (columns < 1 || columns % size !== 0) {
    throw malformed(stored, codes.name, `groups of ${size} columns don't divide its ${columns} inputs`);
  }
  const layout: QuantizedLayout = { bits, groupSize: size, perChannel: groupSize === null, symmetric, rows, columns };
  const index = stored.tensors.has(part(GROUP_INDEX)) ? part(GROUP_INDEX) : null;
  const zeroPoint = symmetric ? null : part(ZERO_POINT);
  const parts = [...(packed ? [SHAPE] : []), SCALE].map(part);
  for (const name of [part(SCALE), ...(zeroPoint === null ? [] : [zeroPoint])]) {
    if (!stored.tensors.has(name))
      throw malformed(stored, codes.name, `"${name}", which it needs, is not in the checkpoint`);
  }
  const read = (name: string): StoredTensor => {
    const { dtype, shape: size } = stored.tensors.get(name) as TensorInfo;
    return { dtype, shape: size, bytes: stored.readSync(name) };
  };
  return {
    name: part(PLAIN_WEIGHT),
    shape: [rows, columns],
    parts: [codes.name, ...parts, ...(zeroPoint === null ? [] : [zeroPoint]), ...(index === null ? [] : [index])],
    sectionRows: rows,
    decode() {
      const weight = decodeWeight(module, layout, packed ? "pack-quantized" : "int-quantized", {
        codes: read(codes.name),
        scale: read(part(SCALE)),
        zeroPoint: zeroPoint === null ? null : read(zeroPoint),
      });
      return integerValues(weight, index === null ? null : groupIndex(stored, index, layout));
    },
  };
}

/** `scale * (code - zero point)` of every weight, in fp32; `groups` has that of each column, where they do not follow one another. */
export function integerValues(weight: QuantizedWeight, groups: Int32Array | null): Float32Array {
  const { codes, scales, zeroPoints, rows, columns, groupSize } = weight;
  const perRow = columns / groupSize;
  const group = groups ?? Int32Array.from({ length: columns }, (_, column) => Math.floor(column / groupSize));
  const values = new Float32Array(rows * columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) {
      const of = row * perRow + (group[column] ?? 0);
      values[at] = (scales[of] ?? Number.NaN) * ((codes[at] ?? 0) - (zeroPoints[of] ?? 0));
    }
  }
  return values;
}

/** The group of every column. @throws CheckpointError for another length or groups that do not exist */
export function groupIndex(stored: StoredTensors, name: string, { columns, groupSize }: QuantizedLayout): Int32Array {
  requirePart(stored, name, name, ["I32"]);
  const groups = viewInt32(stored.readSync(name));
  const count = columns / groupSize;
  if (groups.length !== columns || groups.some((group) => group < 0 || group >= count)) {
    throw malformed(stored, name, `no list of ${columns} groups from 0 to ${count - 1}`);
  }
  return groups;
}

function storedShape(stored: StoredTensors, name: string, of: string): readonly number[] {
  const { dtype, byteLength } = requirePart(stored, name, of, ["I64", "I32"]);
  const wide = dtype === "I64";
  if (byteLength !== (wide ? 16 : 8)) throw malformed(stored, name, "no two integers");
  const { buffer, byteOffset } = stored.readSync(name);
  const view = new DataView(buffer, byteOffset, byteLength);
  return [0, 1].map((i) => (wide ? Number(view.getBigInt64(8 * i, true)) : view.getInt32(4 * i, true)));
}
