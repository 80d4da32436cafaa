import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { SafetensorsDType } from "../../../checkpoint/dtype.js";
import type { JsonObject } from "../../../checkpoint/json/json.js";
import { writeSafetensors } from "../../../checkpoint/safetensors/write-safetensors.js";
import type { FolderWeights } from "../../../checkpoint/tensor-reader.js";
import { temporaryFolder } from "../../../checkpoint/testing/temporary-folder.js";
import { fromBfloat16Bits, toBfloat16Bits } from "../../bits/half.js";
import { openSourceWeights } from "../open-source-weights.js";

/** A tensor to write. */
export type Stored = readonly [
  dtype: SafetensorsDType,
  shape: readonly number[],
  bytes: ArrayLike<number> | ArrayBufferView,
];

export const f32 = (...values: number[]): Float32Array => Float32Array.from(values);
export const bf16 = (...values: number[]): Uint16Array => Uint16Array.from(values, toBfloat16Bits);

/** Opens a folder with these tensors, and reads all that it then has. */
export async function read(
  quantization: JsonObject | null,
  tensors: Readonly<Record<string, Stored>>,
  config: JsonObject = {},
): Promise<{ readonly values: Record<string, number[]>; readonly weights: FolderWeights }> {
  using folder = temporaryFolder();
  await writeSafetensors(
    folder.path,
    Object.entries(tensors).map(([name, [dtype, shape, content]]) => {
      const bytes = ArrayBuffer.isView(content)
        ? new Uint8Array(content.buffer, content.byteOffset, content.byteLength)
        : Uint8Array.from(content);
      return { name, dtype, shape, byteLength: bytes.length, bytes: () => bytes };
    }),
  );
  const whole = { ...config, ...(quantization !== null && { quantization_config: quantization }) };
  writeFileSync(join(folder.path, "config.json"), JSON.stringify(whole));
  const weights = await openSourceWeights(folder.path, whole);
  try {
    const values: Record<string, number[]> = {};
    for (const [name, { dtype, byteLength }] of weights.tensors) {
      const bytes = weights.readSync(name);
      expect(bytes.length).toBe(byteLength);
      // In parts, and asynchronously, the same.
      const cut = Math.floor(byteLength / 2) - 1;
      const parts = [weights.readRangeSync(name, 0, cut), weights.readRangeSync(name, cut, byteLength)];
      expect(Buffer.concat(parts)).toEqual(Buffer.from(bytes));
      expect(Buffer.from(await weights.read(name))).toEqual(Buffer.from(bytes));
      if (dtype === "BF16") values[name] = [...new Uint16Array(bytes.slice().buffer)].map(fromBfloat16Bits);
      if (dtype === "F32") values[name] = [...new Float32Array(bytes.slice().buffer)];
    }
    return { values, weights };
  } finally {
    weights.close();
  }
}
