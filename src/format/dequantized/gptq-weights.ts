import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import { decodeWeight } from "../gptq/decode.js";
import { CODES, GROUP_INDEX, SCALES, sizeStep, ZERO_POINTS } from "../gptq/layout.js";
import { type GptqSchemes, schemeFor } from "../gptq/schemes.js";
import type { StoredTensor } from "../source/stored-tensor.js";
import { type EncodedWeight, malformed, requirePart, type StoredTensors } from "./encoded-weight.js";
import { groupIndex, integerValues } from "./integer-weights.js";

/**
 * Weights in GPTQ's codes, versions 1 and 2; columns may lie in activation order (`desc_act`).
 *
 * @throws CheckpointError for parts that are missing or have another shape; FormatError for codes that do not fit
 */
export function gptqWeights(stored: StoredTensors, schemes: GptqSchemes): readonly EncodedWeight[] {
  return [...stored.tensors.values()]
    .filter(({ name }) => name.endsWith(`.${CODES}`))
    .map((info) => gptqWeight(stored, info, schemes));
}

function gptqWeight(stored: StoredTensors, codes: TensorInfo, schemes: GptqSchemes): EncodedWeight {
  const module = codes.name.slice(0, -CODES.length - 1);
  const scheme = schemeFor(module, schemes);
  if (scheme === null) throw malformed(stored, codes.name, "quantization_config leaves this quantized module alone");
  const { bits } = scheme;
  const [words = 0, rows = 0] = codes.shape;
  const columns = (words * 32) / bits;
  const step = sizeStep(bits);
  const size = scheme.groupSize ?? columns;
  if (codes.shape.length !== 2 || columns < 1 || rows < 1 || columns % step !== 0 || rows % step !== 0) {
    throw malformed(stored, codes.name, `shape [${codes.shape.join(", ")}] is none of ${bits}-bit codes`);
  }
  if (columns % size !== 0) {
    throw malformed(stored, codes.name, `groups of ${size} columns don't divide its ${columns} inputs`);
  }
  // Its zero points count, also where the configuration calls them symmetric.
  const layout: QuantizedLayout = { bits, groupSize: size, perChannel: false, symmetric: false, rows, columns };
  const [zeroPoints, scales] = [ZERO_POINTS, SCALES].map((part) => `${module}.${part}`) as [string, string];
  requirePart(stored, zeroPoints, codes.name, ["I32"]);
  requirePart(stored, scales, codes.name, ["F16", "BF16", "F32"]);
  const index = stored.tensors.has(`${module}.${GROUP_INDEX}`) ? `${module}.${GROUP_INDEX}` : null;
  const read = (name: string): StoredTensor => {
    const { dtype, shape } = stored.tensors.get(name) as TensorInfo;
    return { dtype, shape, bytes: stored.readSync(name) };
  };
  return {
    name: `${module}.weight`,
    shape: [rows, columns],
    parts: [codes.name, zeroPoints, scales, ...(index === null ? [] : [index])],
    sectionRows: rows,
    decode() {
      const weight = decodeWeight(module, layout, schemes.version, {
        codes: read(codes.name),
        zeroPoints: read(zeroPoints),
        scales: read(scales),
        groupIndex: null,
      });
      return integerValues(weight, index === null ? null : groupIndex(stored, index, layout));
    },
  };
}
