import type { TensorInfo } from "../checkpoint/tensor-reader.js";
import { FormatError } from "../errors.js";
import type { QuantizedWeight } from "../quant/quantized-weight.js";
import { floatsFromBytes, fromFloats } from "./bits/float-bytes.js";
import type { ExportSource, QuantizedLayout } from "./contract/export-source.js";

/** One tensor of a file, made of one of the network, whose name it may keep. Rows and columns say which of the network's each of its own is. */
export interface Arranged {
  /** Full name of the network's. */
  readonly from: string;
  readonly rows?: Int32Array;
  readonly columns?: Int32Array;
  /** Of a tensor in floating point: what becomes of each value, rounded to the type that it is stored in. */
  readonly convert?: (value: number) => number;
  /** Of a tensor in floating point, where it has other dimensions. */
  readonly shape?: readonly number[];
  /** Stored in fp32. */
  readonly widened?: boolean;
}

/**
 * A result with some tensors in the order that a file wants, by names of their own: codes, scales and zero points are those of
 * the network.
 *
 * @param arranged by full names
 * @throws FormatError where columns change places across the groups that share a scale
 */
export function arrangedSource(source: ExportSource, arranged: ReadonlyMap<string, Arranged>): ExportSource {
  if (arranged.size === 0) return source;
  const hidden = new Set([...arranged.values()].map(({ from }) => from));
  const moduleOf = (name: string): string => name.replace(/\.weight$/, "");
  const linears = new Map([...source.linears].filter(([module]) => !hidden.has(`${module}.weight`)));
  const plain = new Map([...source.plain].filter(([name]) => !hidden.has(name)));
  for (const [name, part] of arranged) {
    const layout = source.linears.get(moduleOf(part.from));
    const info = source.plain.get(part.from);
    if (layout !== undefined) linears.set(moduleOf(name), arrangedLayout(layout, part));
    else if (info !== undefined) plain.set(name, arrangedInfo(info, name, part));
  }
  return {
    ...source,
    linears,
    plain,
    readPacked: undefined,
    async readQuantized(module) {
      const part = arranged.get(`${module}.weight`);
      if (part === undefined) return source.readQuantized(module);
      return arrangedWeight(await source.readQuantized(moduleOf(part.from)), part);
    },
    async readPlain(name) {
      const part = arranged.get(name);
      const info = part === undefined ? undefined : source.plain.get(part.from);
      if (part === undefined || info === undefined) return source.readPlain(name);
      return arrangedBytes(await source.readPlain(part.from), info, part);
    },
  };
}

function arrangedLayout(layout: QuantizedLayout, { from, rows, columns }: Arranged): QuantizedLayout {
  const moved = { ...layout, rows: rows?.length ?? layout.rows };
  if (columns === undefined) return moved;
  const groupSize = stretchOf(columns, layout.groupSize);
  if (layout.groupBits !== undefined || (groupSize < layout.groupSize && groupSize % 32 !== 0)) {
    throw new FormatError({
      what: `the file has the columns of this Linear in another order, in stretches of ${groupSize}, and groups of ${layout.groupSize} span several of them`,
      where: from.replace(/\.weight$/, ""),
      next: "use --format compressed-tensors, or leave this Linear in full precision with an override",
    });
  }
  return { ...moved, groupSize, perChannel: layout.perChannel && groupSize === layout.groupSize };
}

// Columns that keep their neighbours: smaller groups with the scale of the one that they come from mean the same.
function stretchOf(columns: Int32Array, groupSize: number): number {
  let stretch = groupSize;
  for (let i = 1; i < columns.length; i++) {
    if ((columns[i] ?? 0) === (columns[i - 1] ?? 0) + 1) continue;
    stretch = gcd(gcd(stretch, i), columns[i] ?? 0);
  }
  return stretch;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function arrangedWeight(weight: QuantizedWeight, part: Arranged): QuantizedWeight {
  const { rows: orders, columns: places } = part;
  const layout = arrangedLayout(weight, part);
  const { rows, columns, groupSize } = layout;
  const [groups, ownGroups] = [columns / groupSize, weight.columns / weight.groupSize];
  const codes = new Uint8Array(rows * columns);
  const scales = new Float32Array(rows * groups);
  const zeroPoints = new Uint8Array(rows * groups);
  for (let row = 0; row < rows; row++) {
    const from = orders?.[row] ?? row;
    for (let column = 0; column < columns; column++) {
      const place = places?.[column] ?? column;
      codes[row * columns + column] = weight.codes[from * columns + place] ?? 0;
      if (column % groupSize !== 0) continue;
      const group = from * ownGroups + Math.floor(place / weight.groupSize);
      scales[row * groups + column / groupSize] = weight.scales[group] ?? 0;
      zeroPoints[row * groups + column / groupSize] = weight.zeroPoints[group] ?? 0;
    }
  }
  return { ...weight, ...layout, codes, scales, zeroPoints };
}

function arrangedInfo(info: TensorInfo, name: string, { rows, shape, widened }: Arranged): TensorInfo {
  const own = shape ?? [rows?.length ?? info.shape[0] ?? 1, ...info.shape.slice(1)];
  const dtype = widened === true ? "F32" : info.dtype;
  const elements = own.reduce((product, size) => product * size, 1);
  const size = widened === true ? 4 : info.byteLength / info.shape.reduce((product, each) => product * each, 1);
  return { ...info, name, dtype, shape: own, byteLength: elements * size };
}

function arrangedBytes(bytes: Uint8Array, { dtype, name, shape }: TensorInfo, part: Arranged): Uint8Array {
  const { rows, columns: places, convert, widened } = part;
  const count = shape[0] ?? 1;
  const columns = shape.reduce((product, size) => product * size, 1) / count;
  const size = bytes.length / (count * columns);
  const out = new Uint8Array((rows?.length ?? count) * columns * size);
  for (let row = 0; row * columns * size < out.length; row++) {
    const from = (rows?.[row] ?? row) * columns;
    if (places === undefined) out.set(bytes.subarray(from * size, (from + columns) * size), row * columns * size);
    else {
      for (let column = 0; column < columns; column++) {
        const at = (from + (places[column] ?? 0)) * size;
        out.set(bytes.subarray(at, at + size), (row * columns + column) * size);
      }
    }
  }
  if (widened !== true && convert === undefined) return out;
  const values = floatsFromBytes(out, dtype, name);
  const own = widened === true || (dtype !== "F16" && dtype !== "BF16") ? "F32" : dtype;
  return fromFloats(convert === undefined ? values : values.map(convert), own);
}
