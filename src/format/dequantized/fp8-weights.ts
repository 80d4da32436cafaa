import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { floatsFromBytes } from "../bits/float-bytes.js";
import {
  type EncodedWeight,
  malformed,
  requirePart,
  rowsAtOnce,
  rowsOf,
  type StoredTensors,
  sameShape,
} from "./encoded-weight.js";
import { e8m0Values, fp8Values } from "./fp8-values.js";

/** Rows and columns of the blocks that share a scale; null where the scales' shapes alone say it. */
export type Fp8Block = readonly [rows: number, columns: number] | null;

/** What stands behind the name of a weight in the names of its scales; the value is always number times scale. */
const suffixes = ["_scale_inv", "_scale"] as const;

/**
 * Weights in eight-bit floats with scales beside them, as DeepSeek (blocks of 128 x 128, `weight_scale_inv`) and compressed-tensors
 * (`weight_scale`: one, one for each row, or blocks) store them. Stacked matrices have the scales of each.
 *
 * @param blockOf what the configuration says of a weight's blocks, by its name
 * @throws CheckpointError for a weight without scales, scales of another shape or type, or without a weight
 */
export function fp8Weights(stored: StoredTensors, blockOf: (weight: string) => Fp8Block): readonly EncodedWeight[] {
  const weights = [...stored.tensors.values()].flatMap((info) => {
    const { dtype } = info;
    return dtype === "F8_E4M3" || dtype === "F8_E5M2" ? [fp8Weight(stored, info, fp8Values[dtype], blockOf)] : [];
  });
  const parts = new Set(weights.flatMap((weight) => weight.parts));
  for (const name of stored.tensors.keys()) {
    if (!name.endsWith(".weight_scale_inv") || parts.has(name)) continue;
    const weight = name.slice(0, -"_scale_inv".length);
    const found = stored.tensors.get(weight);
    const what = found === undefined ? "which is not in the checkpoint" : `which has dtype ${found.dtype}, no fp8`;
    throw malformed(stored, name, `scales of "${weight}", ${what}`);
  }
  return weights;
}

function fp8Weight(
  stored: StoredTensors,
  { name, shape }: TensorInfo,
  values: Float32Array,
  blockOf: (weight: string) => Fp8Block,
): EncodedWeight {
  const found = suffixes.map((suffix) => `${name}${suffix}`).filter((scale) => stored.tensors.has(scale));
  const [scaleName = `${name}_scale_inv`] = found;
  if (found.length > 1) throw malformed(stored, name, `has two kinds of scales, ${found.join(" and ")}`);
  const scale = requirePart(stored, scaleName, name, ["F32", "BF16", "F16", "F8_E8M0", "U8"]);
  if (shape.length < 2) throw malformed(stored, name, `an fp8 weight of shape [${shape.join(", ")}]`);
  const grid = gridOf(stored, shape, scale, blockOf(name));
  const { columns } = rowsOf(shape);
  const matrixRows = shape.at(-2) ?? 1;
  let scales: Float32Array | null = null;
  return {
    name,
    shape,
    parts: [name, scaleName],
    sectionRows: rowsAtOnce(columns),
    decode(first, end) {
      const codes = stored.readRangeSync(name, first * columns, end * columns);
      scales ??= readScales(stored, scale);
      const decoded = new Float32Array(codes.length);
      for (let row = first, at = 0; row < end; row++) {
        const matrix = grid.matrices === 1 ? 0 : Math.floor(row / matrixRows);
        const band = matrix * grid.rows + Math.floor((row % matrixRows) / grid.rowBlock);
        for (let block = 0, column = 0; column < columns; block++) {
          const factor = scales[band * grid.columns + block] ?? Number.NaN;
          const last = Math.min(columns, column + grid.columnBlock);
          for (; column < last; column++, at++) decoded[at] = (values[codes[at] ?? 0] ?? 0) * factor;
        }
      }
      return decoded;
    },
  };
}

/** Where in the scales that of a number stands. */
interface ScaleGrid {
  /** One for all matrices, or as many as there are. */
  readonly matrices: number;
  readonly rows: number;
  readonly columns: number;
  readonly rowBlock: number;
  readonly columnBlock: number;
}

function gridOf(stored: StoredTensors, shape: readonly number[], scale: TensorInfo, block: Fp8Block): ScaleGrid {
  const [rows = 1, columns = 1] = shape.slice(-2);
  const leading = shape.slice(0, -2);
  const matrices = leading.reduce((product, size) => product * size, 1);
  const whole = { rowBlock: rows, columnBlock: columns, rows: 1, columns: 1 } as const;
  if (scale.shape.every((size) => size === 1)) return { matrices: 1, ...whole };
  if (matrices > 1 && sameShape(scale.shape, leading)) return { matrices, ...whole };
  // Some writers leave the last dimension out where it would be one.
  const given = leading.length === 0 && sameShape(scale.shape, [rows]) ? [rows, 1] : scale.shape;
  const [bands = 0, blocks = 0] = given.slice(-2);
  const fits = given.length === shape.length && sameShape(given.slice(0, -2), leading);
  const inBlocks = (count: number, size: number, of: number): boolean => count === Math.ceil(of / size);
  if (fits && block !== null && inBlocks(bands, block[0], rows) && inBlocks(blocks, block[1], columns)) {
    return { matrices, rows: bands, columns: blocks, rowBlock: block[0], columnBlock: block[1] };
  }
  const oneOrAll = (count: number, of: number): boolean => count === 1 || count === of;
  if (fits && block === null && oneOrAll(bands, rows) && oneOrAll(blocks, columns)) {
    return { matrices, rows: bands, columns: blocks, rowBlock: rows / bands, columnBlock: columns / blocks };
  }
  const wanted =
    block === null
      ? "one, one for each row, or blocks that quantization_config tells of (weight_block_size)"
      : `[${[...leading, Math.ceil(rows / block[0]), Math.ceil(columns / block[1])].join(", ")}] for blocks of ${block.join(" x ")}`;
  throw malformed(
    stored,
    scale.name,
    `scales of shape [${scale.shape.join(", ")}] for a weight of shape [${shape.join(", ")}], which needs ${wanted}`,
  );
}

function readScales(stored: StoredTensors, { name, dtype }: TensorInfo): Float32Array {
  const bytes = stored.readSync(name);
  const powers = dtype === "F8_E8M0" || dtype === "U8";
  const scales = powers
    ? Float32Array.from(bytes, (bits) => e8m0Values[bits] ?? Number.NaN)
    : floatsFromBytes(bytes, dtype, name);
  if (scales.some((each) => !Number.isFinite(each))) throw malformed(stored, name, "a scale is no finite number");
  return scales;
}
