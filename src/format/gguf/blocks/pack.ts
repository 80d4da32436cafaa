import type { QuantizedType } from "../file/layout.js";

/** The fields of one block before packing. A type reads only those that its layout has. */
export interface BlockFields {
  /** Codes as the file stores them, unsigned, one per element; for Q8_0 the byte of the signed value. */
  readonly codes: Uint8Array;
  /** fp16 bits of the block's scale. */
  scale: number;
  /** fp16 bits of the minimum: `m` of Q4_1 (added), `dmin` of the K types (subtracted). */
  minimum: number;
  /** Scale of each sub-block: 4 bits in Q2_K, 6 bits in Q3_K and Q4_K. */
  readonly subScales: Uint8Array;
  /** Minimum of each sub-block: 4 bits in Q2_K, 6 bits in Q4_K. */
  readonly subMinimums: Uint8Array;
}

export function newBlockFields(): BlockFields {
  return {
    codes: new Uint8Array(256),
    scale: 0,
    minimum: 0,
    subScales: new Uint8Array(16),
    subMinimums: new Uint8Array(16),
  };
}

/** Writes one block's bytes at `at`. The bytes there must be zero. */
export type Packer = (fields: BlockFields, out: Uint8Array, at: number) => void;

function putHalf(out: Uint8Array, at: number, bits: number): void {
  out[at] = bits & 0xff;
  out[at + 1] = bits >>> 8;
}

/** 16 bytes of nibbles: byte j holds element j low and element j + 16 high. */
function putNibbles(codes: Uint8Array, out: Uint8Array, at: number): void {
  for (let j = 0; j < 16; j++) out[at + j] = (codes[j] ?? 0) | ((codes[j + 16] ?? 0) << 4);
}

/** The order of 2-bit codes in TQ2_0 and the K types: four planes of 32 bytes per half block. */
function putPlanes(codes: Uint8Array, out: Uint8Array, at: number): void {
  for (let e = 0; e < 256; e++) {
    const byte = at + (e >> 7) * 32 + (e & 31);
    out[byte] = (out[byte] ?? 0) | (((codes[e] ?? 0) & 3) << (2 * ((e >> 5) & 3)));
  }
}

/** Sixteen 6-bit scales of Q3_K in 12 bytes: low nibbles first, then the top two bits. */
export function packQ3Scales(scales: Uint8Array, out: Uint8Array, at: number): void {
  out.fill(0, at, at + 12);
  for (let i = 0; i < 16; i++) {
    const scale = scales[i] ?? 0;
    const low = at + (i & 7);
    const high = at + 8 + (i & 3);
    out[low] = (out[low] ?? 0) | ((scale & 15) << (i < 8 ? 0 : 4));
    out[high] = (out[high] ?? 0) | ((scale >> 4) << (2 * (i >> 2)));
  }
}

/** Eight 6-bit scales and eight 6-bit minimums of Q4_K in 12 bytes. */
export function packQ4Scales(scales: Uint8Array, minimums: Uint8Array, out: Uint8Array, at: number): void {
  for (let i = 0; i < 4; i++) {
    const [scale, later] = [scales[i] ?? 0, scales[i + 4] ?? 0];
    const [minimum, laterMinimum] = [minimums[i] ?? 0, minimums[i + 4] ?? 0];
    out[at + i] = scale | ((later >> 4) << 6);
    out[at + 4 + i] = minimum | ((laterMinimum >> 4) << 6);
    out[at + 8 + i] = (later & 15) | ((laterMinimum & 15) << 4);
  }
}

/** Packers by type; the layouts are those of ggml's `block_*` structs. */
export const PACKERS: Readonly<Record<QuantizedType, Packer>> = {
  Q4_0(fields, out, at) {
    putHalf(out, at, fields.scale);
    putNibbles(fields.codes, out, at + 2);
  },
  Q4_1(fields, out, at) {
    putHalf(out, at, fields.scale);
    putHalf(out, at + 2, fields.minimum);
    putNibbles(fields.codes, out, at + 4);
  },
  Q8_0(fields, out, at) {
    putHalf(out, at, fields.scale);
    out.set(fields.codes.subarray(0, 32), at + 2);
  },
  Q2_0(fields, out, at) {
    putHalf(out, at, fields.scale);
    for (let e = 0; e < 64; e++) {
      const byte = at + 2 + (e >> 2);
      out[byte] = (out[byte] ?? 0) | ((fields.codes[e] ?? 0) << (2 * (e & 3)));
    }
  },
  TQ2_0(fields, out, at) {
    putPlanes(fields.codes, out, at);
    putHalf(out, at + 64, fields.scale);
  },
  Q2_K(fields, out, at) {
    for (let i = 0; i < 16; i++) out[at + i] = (fields.subScales[i] ?? 0) | ((fields.subMinimums[i] ?? 0) << 4);
    putPlanes(fields.codes, out, at + 16);
    putHalf(out, at + 80, fields.scale);
    putHalf(out, at + 82, fields.minimum);
  },
  Q3_K(fields, out, at) {
    for (let e = 0; e < 256; e++) {
      const byte = at + (e & 31);
      out[byte] = (out[byte] ?? 0) | (((fields.codes[e] ?? 0) >> 2) << (e >> 5));
    }
    putPlanes(fields.codes, out, at + 32);
    packQ3Scales(fields.subScales, out, at + 96);
    putHalf(out, at + 108, fields.scale);
  },
  Q4_K(fields, out, at) {
    putHalf(out, at, fields.scale);
    putHalf(out, at + 2, fields.minimum);
    packQ4Scales(fields.subScales, fields.subMinimums, out, at + 4);
    for (let e = 0; e < 256; e++) {
      const byte = at + 16 + (e >> 6) * 32 + (e & 31);
      out[byte] = (out[byte] ?? 0) | ((fields.codes[e] ?? 0) << (e & 32 ? 4 : 0));
    }
  },
};
