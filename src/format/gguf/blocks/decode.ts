import { FormatError } from "../../../errors.js";
import { fromBfloat16Bits, fromHalfBits } from "../../bits/half.js";
import { type FloatType, type GgufType, type QuantizedType, TENSOR_TYPES } from "../file/layout.js";

/**
 * Blocks taken apart: the value of element e is `scales[s] * integers[e] - minimums[s]` in fp32,
 * with `s = floor(e / subBlock)`.
 */
export interface DecodedBlocks {
  readonly integers: Int16Array;
  readonly scales: Float32Array;
  readonly minimums: Float32Array;
  /** Elements that share one scale: 16 to 64 for sub-blocks, else the block. */
  readonly subBlock: number;
}

/** Where a block decoder puts what it reads; `e` is the first element and `s` the first sub-block of the block. */
type BlockDecoder = (view: DataView, at: number, into: DecodedBlocks, e: number, s: number) => void;

interface Decoder {
  readonly subBlock: number;
  readonly decode: BlockDecoder;
}

const half = (view: DataView, at: number): number => fromHalfBits(view.getUint16(at, true));

/** Types whose scale covers the whole block, given where d and the codes lie. */
function plain(elements: number, scaleAt: number, integer: (view: DataView, at: number, e: number) => number): Decoder {
  return {
    subBlock: elements,
    decode(view, at, into, e, s) {
      into.scales[s] = half(view, at + scaleAt);
      for (let i = 0; i < elements; i++) into.integers[e + i] = integer(view, at, i);
    },
  };
}

const nibble = (view: DataView, at: number, e: number): number =>
  e < 16 ? view.getUint8(at + e) & 0x0f : view.getUint8(at + e - 16) >> 4;

/** 2-bit code of element e of 256: half n, plane j, byte l. */
function plane(view: DataView, at: number, e: number): number {
  const n = Math.floor(e / 128);
  const j = Math.floor((e % 128) / 32);
  const l = e % 32;
  return (view.getUint8(at + 32 * n + l) >> (2 * j)) & 3;
}

/** Sub-block i's 6-bit scale and minimum of Q4_K, out of 12 bytes. */
export function unpackQ4Scale(view: DataView, at: number, i: number): { scale: number; minimum: number } {
  const s = (k: number): number => view.getUint8(at + k);
  if (i < 4) return { scale: s(i) & 63, minimum: s(i + 4) & 63 };
  return {
    scale: (s(i + 4) & 15) | ((s(i - 4) >> 6) << 4),
    minimum: (s(i + 4) >> 4) | ((s(i) >> 6) << 4),
  };
}

/** Sub-block i's 6-bit scale of Q3_K, out of 12 bytes; the scale is this minus 32. */
export function unpackQ3Scale(view: DataView, at: number, i: number): number {
  const low = (view.getUint8(at + (i % 8)) >> (i < 8 ? 0 : 4)) & 15;
  const high = (view.getUint8(at + 8 + (i % 4)) >> (2 * Math.floor(i / 4))) & 3;
  return low | (high << 4);
}

const DECODERS: Readonly<Record<QuantizedType, Decoder>> = {
  Q4_0: plain(32, 0, (view, at, e) => nibble(view, at + 2, e) - 8),
  Q4_1: {
    subBlock: 32,
    decode(view, at, into, e, s) {
      into.scales[s] = half(view, at);
      into.minimums[s] = -half(view, at + 2);
      for (let i = 0; i < 32; i++) into.integers[e + i] = nibble(view, at + 4, i);
    },
  },
  Q8_0: plain(32, 0, (view, at, e) => view.getInt8(at + 2 + e)),
  Q2_0: plain(64, 0, (view, at, e) => ((view.getUint8(at + 2 + Math.floor(e / 4)) >> (2 * (e % 4))) & 3) - 1),
  TQ2_0: plain(256, 64, (view, at, e) => plane(view, at, e) - 1),
  Q2_K: {
    subBlock: 16,
    decode(view, at, into, e, s) {
      const d = half(view, at + 80);
      const dmin = half(view, at + 82);
      for (let i = 0; i < 16; i++) {
        const field = view.getUint8(at + i);
        into.scales[s + i] = d * (field & 15);
        into.minimums[s + i] = dmin * (field >> 4);
      }
      for (let i = 0; i < 256; i++) into.integers[e + i] = plane(view, at + 16, i);
    },
  },
  Q3_K: {
    subBlock: 16,
    decode(view, at, into, e, s) {
      const d = half(view, at + 108);
      for (let i = 0; i < 16; i++) into.scales[s + i] = d * (unpackQ3Scale(view, at + 96, i) - 32);
      for (let i = 0; i < 256; i++) {
        const high = (view.getUint8(at + (i % 32)) >> Math.floor(i / 32)) & 1;
        into.integers[e + i] = plane(view, at + 32, i) + 4 * high - 4;
      }
    },
  },
  Q4_K: {
    subBlock: 32,
    decode(view, at, into, e, s) {
      const d = half(view, at);
      const dmin = half(view, at + 2);
      for (let i = 0; i < 8; i++) {
        const { scale, minimum } = unpackQ4Scale(view, at + 4, i);
        into.scales[s + i] = d * scale;
        into.minimums[s + i] = dmin * minimum;
      }
      for (let i = 0; i < 256; i++) {
        const byte = view.getUint8(at + 16 + 32 * Math.floor(i / 64) + (i % 32));
        into.integers[e + i] = Math.floor(i / 32) % 2 === 0 ? byte & 15 : byte >> 4;
      }
    },
  },
};

/** The integers that each block type can hold: `count` neighbours from `lowest` on. */
export const INTEGERS: Readonly<Record<QuantizedType, { readonly lowest: number; readonly count: number }>> = {
  Q4_0: { lowest: -8, count: 16 },
  Q4_1: { lowest: 0, count: 16 },
  Q8_0: { lowest: -128, count: 256 },
  Q2_0: { lowest: -1, count: 4 },
  TQ2_0: { lowest: -1, count: 4 },
  Q2_K: { lowest: 0, count: 4 },
  Q3_K: { lowest: -4, count: 8 },
  Q4_K: { lowest: 0, count: 16 },
};

/** True for the block types that `decodeBlocks` can take apart. */
export function isQuantizedType(type: GgufType): type is QuantizedType {
  return type in DECODERS;
}

/** True for the plain number types that `dequantize` reads besides the block types. */
export function isFloatType(type: GgufType): type is FloatType {
  return type === "F32" || type === "F16" || type === "BF16";
}

/** Takes whole blocks apart into integers, scales and minimums. Throws a FormatError on a broken block. */
export function decodeBlocks(type: QuantizedType, bytes: Uint8Array): DecodedBlocks {
  const layout = TENSOR_TYPES[type];
  const blocks = bytes.length / layout.bytes;
  if (!Number.isInteger(blocks)) throw partialBlock(type, bytes.length);
  const { subBlock, decode } = DECODERS[type];
  const perBlock = layout.elements / subBlock;
  const into: DecodedBlocks = {
    integers: new Int16Array(blocks * layout.elements),
    scales: new Float32Array(blocks * perBlock),
    minimums: new Float32Array(blocks * perBlock),
    subBlock,
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let b = 0; b < blocks; b++) decode(view, b * layout.bytes, into, b * layout.elements, b * perBlock);
  return into;
}

/** The fp32 values of whole blocks, with the same operations in the same order as ggml's reference. */
export function dequantize(type: GgufType, bytes: Uint8Array): Float32Array {
  if (isFloatType(type)) return readFloats(type, bytes);
  if (!isQuantizedType(type)) {
    throw new FormatError({
      what: `no decoder for tensor type ${type}`,
      next: `use a file with ${Object.keys(DECODERS).join(", ")}, F16, BF16 or F32 tensors`,
    });
  }
  const { integers, scales, minimums, subBlock } = decodeBlocks(type, bytes);
  const values = new Float32Array(integers.length);
  for (let e = 0; e < values.length; e++) {
    const s = Math.floor(e / subBlock);
    values[e] = Math.fround((scales[s] ?? 0) * (integers[e] ?? 0)) - (minimums[s] ?? 0);
  }
  return values;
}

function readFloats(type: FloatType, bytes: Uint8Array): Float32Array {
  const width = TENSOR_TYPES[type].bytes;
  if (bytes.length % width !== 0) throw partialBlock(type, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(bytes.length / width);
  for (let e = 0; e < values.length; e++) {
    if (type === "F32") values[e] = view.getFloat32(e * 4, true);
    else values[e] = (type === "F16" ? fromHalfBits : fromBfloat16Bits)(view.getUint16(e * 2, true));
  }
  return values;
}

function partialBlock(type: GgufType, length: number): FormatError {
  return new FormatError({
    what: `${length} bytes are not a whole number of ${type} blocks`,
    next: "write the file again: it is cut off or was changed",
  });
}
