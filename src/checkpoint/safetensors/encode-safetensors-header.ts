import { CheckpointError } from "../../errors.js";
import type { SafetensorsDType } from "../dtype.js";
import { maxHeaderLength } from "./safetensors-header.js";

/** A tensor as a header lists it, in the order of the data section. */
export interface ListedTensor {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/**
 * The eight length bytes and the JSON of a safetensors file, padded with spaces so that the data starts at a multiple
 * of 8.
 *
 * @throws CheckpointError when the header is over the format's limit
 */
export function encodeSafetensorsHeader(
  tensors: readonly ListedTensor[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const entries: [string, unknown][] = [["__metadata__", metadata]];
  let offset = 0;
  for (const { name, dtype, shape, byteLength } of tensors) {
    entries.push([name, { dtype, shape, data_offsets: [offset, offset + byteLength] }]);
    offset += byteLength;
  }
  // Not an object: its integer-like and __proto__ keys would be reordered or lost.
  const members = entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${members.join(",")}}`);
  const length = Math.ceil(json.byteLength / 8) * 8;
  if (length > maxHeaderLength) {
    throw new CheckpointError({
      what: `a header of ${length} bytes for ${tensors.length} tensors is over the format's limit`,
      next: "write smaller shards",
    });
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}
