import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { decodeWeight } from "../awq/decode.js";
import { BITS, CODES, PACKED, SCALES, ZERO_POINTS } from "../awq/layout.js";
import type { AwqScheme } from "../awq/quantization-config.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import type { StoredTensor } from "../source/stored-tensor.js";
import { type EncodedWeight, malformed, requirePart, type StoredTensors } from "./encoded-weight.js";
import { integerValues } from "./integer-weights.js";

/**
 * Weights in AWQ's codes, its GEMM version.
 *
 * @throws CheckpointError for parts that are missing or have another shape; FormatError for codes that do not fit
 */
export function awqWeights(stored: StoredTensors, scheme: AwqScheme): readonly EncodedWeight[] {
  return [...stored.tensors.values()]
    .filter(({ name }) => name.endsWith(`.${CODES}`))
    .map((info) => awqWeight(stored, info, scheme));
}

function awqWeight(stored: StoredTensors, codes: TensorInfo, { groupSize }: AwqScheme): EncodedWeight {
  const module = codes.name.slice(0, -CODES.length - 1);
  const [columns = 0, words = 0] = codes.shape;
  const rows = words * PACKED;
  if (codes.shape.length !== 2 || columns < 1 || rows < 1) {
    throw malformed(stored, codes.name, `shape [${codes.shape.join(", ")}] is none of packed codes`);
  }
  const size = groupSize ?? columns;
  if (columns % size !== 0) {
    throw malformed(stored, codes.name, `groups of ${size} columns don't divide its ${columns} inputs`);
  }
  const scales = requirePart(stored, `${module}.${SCALES}`, codes.name, ["F16", "BF16", "F32"]).name;
  const zeroPoints = stored.tensors.has(`${module}.${ZERO_POINTS}`) ? `${module}.${ZERO_POINTS}` : null;
  // Where there are zero points, they count.
  const layout: QuantizedLayout = {
    bits: BITS,
    groupSize: size,
    perChannel: groupSize === null,
    symmetric: zeroPoints === null,
    rows,
    columns,
  };
  const read = (name: string): StoredTensor => {
    const { dtype, shape } = stored.tensors.get(name) as TensorInfo;
    return { dtype, shape, bytes: stored.readSync(name) };
  };
  return {
    name: `${module}.weight`,
    shape: [rows, columns],
    parts: [codes.name, scales, ...(zeroPoints === null ? [] : [zeroPoints])],
    sectionRows: rows,
    decode() {
      const weight = decodeWeight(module, layout, {
        codes: read(codes.name),
        scales: read(scales),
        zeroPoints: zeroPoints === null ? null : read(zeroPoints),
      });
      return integerValues(weight, null);
    },
  };
}
