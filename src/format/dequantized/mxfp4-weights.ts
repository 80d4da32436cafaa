import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { type EncodedWeight, malformed, requirePart, type StoredTensors, sameShape } from "./encoded-weight.js";
import { e8m0Values, fp4Values } from "./fp8-values.js";

const BLOCKS = "_blocks";
const SCALES = "_scales";
/** Numbers that share a scale, and the bytes that hold them. */
const [GROUP, GROUP_BYTES] = [32, 16] as const;

/**
 * Stacked experts in MXFP4, as gpt-oss has them: `<name>_blocks` U8 `[experts, out, in / 32, 16]`, two numbers a byte, the low half
 * first, and `<name>_scales` U8 `[experts, out, in / 32]`, powers of two. The network's tensor is `[experts, in, out]`, as the
 * same model has it in bf16.
 *
 * @throws CheckpointError for blocks without scales, scales without blocks, and shapes that do not fit
 */
export function mxfp4Weights(stored: StoredTensors): readonly EncodedWeight[] {
  const weights = [...stored.tensors.values()]
    .filter(({ name, dtype }) => name.endsWith(BLOCKS) && dtype === "U8")
    .map((info) => mxfp4Weight(stored, info));
  for (const { name, dtype } of stored.tensors.values()) {
    if (!name.endsWith(SCALES) || dtype !== "U8") continue;
    const blocks = `${name.slice(0, -SCALES.length)}${BLOCKS}`;
    if (!stored.tensors.has(blocks)) throw malformed(stored, name, `"${blocks}", whose scales these are, is missing`);
  }
  return weights;
}

function mxfp4Weight(stored: StoredTensors, blocks: TensorInfo): EncodedWeight {
  const name = blocks.name.slice(0, -BLOCKS.length);
  const scales = requirePart(stored, `${name}${SCALES}`, blocks.name, ["U8"]);
  const [experts = 0, rows = 0, groups = 0, bytes] = blocks.shape;
  if (blocks.shape.length !== 4 || bytes !== GROUP_BYTES) {
    throw malformed(
      stored,
      blocks.name,
      `shape [${blocks.shape.join(", ")}] where [experts, out, in / 32, 16] is meant`,
    );
  }
  if (!sameShape(scales.shape, [experts, rows, groups])) {
    throw malformed(
      stored,
      scales.name,
      `shape [${scales.shape.join(", ")}] where its blocks need [${experts}, ${rows}, ${groups}]`,
    );
  }
  if (stored.tensors.has(name)) throw malformed(stored, name, `is there beside "${blocks.name}", which stands for it`);
  const columns = groups * GROUP;
  return {
    name,
    shape: [experts, columns, rows],
    parts: [blocks.name, scales.name],
    // Its dimensions are swapped, so that each row has a part of every stored one.
    sectionRows: columns,
    decode(first, end) {
      const expert = first / columns;
      const size = rows * groups;
      const packed = stored.readRangeSync(blocks.name, expert * size * GROUP_BYTES, (expert + 1) * size * GROUP_BYTES);
      const exponents = stored.readRangeSync(scales.name, expert * size, (expert + 1) * size);
      if (exponents.includes(255)) throw malformed(stored, scales.name, "a scale is no number (255)");
      const decoded = new Float32Array((end - first) * rows);
      for (let row = 0; row < rows; row++) {
        for (let group = 0; group < groups; group++) {
          const scale = e8m0Values[exponents[row * groups + group] ?? 0] ?? 0;
          const from = (row * groups + group) * GROUP_BYTES;
          for (let byte = 0; byte < GROUP_BYTES; byte++) {
            const pair = packed[from + byte] ?? 0;
            const at = (group * GROUP + 2 * byte) * rows + row;
            decoded[at] = (fp4Values[pair & 15] ?? 0) * scale;
            decoded[at + rows] = (fp4Values[pair >> 4] ?? 0) * scale;
          }
        }
      }
      return decoded;
    },
  };
}
