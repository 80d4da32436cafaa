import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type OutputTensor, writeSafetensors } from "../../checkpoint/safetensors/write-safetensors.js";
import { cases, mutate, mutation, onlyTypedErrors, seed } from "../../checkpoint/testing/fuzz.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { ArrayExamples } from "./array-examples.js";

/** The bytes that numpy.save writes. */
function npy(descr: string, shape: string, data: Uint8Array, order = "False"): Uint8Array {
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
  const header = `${text.padEnd(117)}\n`;
  return Buffer.concat([
    Buffer.from("\x93NUMPY\x01\x00", "latin1"),
    Buffer.from([header.length, 0]),
    Buffer.from(header, "latin1"),
    data,
  ]);
}

const numbers = new Uint8Array(Float32Array.from([1, 2, 3, 4, 5, 6]).buffer);

async function values(examples: ArrayExamples, indices: readonly number[]): Promise<Record<string, readonly number[]>> {
  const ports = examples.read(indices);
  return Object.fromEntries(
    Object.entries(ports).map(([name, tensor]) => {
      const found = Array.from(tensor.toArray(), Number);
      tensor.dispose();
      return [name, found];
    }),
  );
}

describe("prepared tensors", () => {
  it("come from a .npy file for the one input", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "x.npy");
    writeFileSync(file, npy("<f4", "(3, 2)", numbers));
    const examples = await ArrayExamples.read(file, ["image"]);
    expect([examples.count, examples.shapes]).toEqual([3, { image: [2] }]);
    expect(await values(examples, [2, 0])).toEqual({ image: [5, 6, 1, 2] });
    await expect(ArrayExamples.read(file, ["a", "b"])).rejects.toThrow(/the inputs a, b.*Next: give a \.safetensors/);
  });

  it("come from a .safetensors file for several inputs, whole numbers as they are", async () => {
    using folder = temporaryFolder();
    const tensor = (name: string, dtype: "F32" | "I64", shape: readonly number[], bytes: Uint8Array): OutputTensor => ({
      name,
      dtype,
      shape,
      byteLength: bytes.length,
      bytes: () => bytes,
    });
    const steps = new Uint8Array(BigInt64Array.from([7n, 8n, 9n]).buffer);
    await writeSafetensors(folder.path, [tensor("x", "F32", [3, 2], numbers), tensor("t", "I64", [3], steps)]);
    const file = join(folder.path, "model.safetensors");
    const examples = await ArrayExamples.read(file, ["x", "t"]);
    expect(await values(examples, [1])).toEqual({ x: [3, 4], t: [8] });
    await expect(ArrayExamples.read(file, ["x", "sigma"])).rejects.toThrow(
      /no tensor "sigma".*Next: write one for each input: x, sigma/,
    );
  });

  it.each([
    ["no array", Buffer.from("hello, hello, hello"), /not a \.npy file/],
    ["text in it", npy("<U3", "(3, 2)", numbers), /type "<U3"/],
    ["columns first", npy("<f4", "(3, 2)", numbers, "True"), /fortran_order/],
    ["too few bytes", npy("<f4", "(4, 2)", numbers), /24 bytes for <f4 \[4, 2\]/],
  ])("are refused with the next action: %s", async (_, bytes, message) => {
    using folder = temporaryFolder();
    const file = join(folder.path, "x.npy");
    writeFileSync(file, bytes);
    await expect(ArrayExamples.read(file, ["x"])).rejects.toThrow(message);
    await expect(ArrayExamples.read(file, ["x"])).rejects.toThrow(/Next: write it with numpy\.save/);
  });

  it("are refused where there are none", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "x.npy");
    writeFileSync(file, npy("<f4", "(0, 2)", new Uint8Array(0)));
    await expect(ArrayExamples.read(file, ["x"])).rejects.toThrow(/it is empty: \[0, 2\].*Next: write examples to it/);
  });

  it(`give typed errors only (hostile, seed ${seed})`, async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "x.npy");
    writeFileSync(file, npy("<f4", "(3, 2)", numbers));
    const good = new Uint8Array(readFileSync(file));
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 3 }), async (mutations) => {
        writeFileSync(file, mutate(good, mutations));
        await onlyTypedErrors(async () => {
          const examples = await ArrayExamples.read(file, ["x"]);
          await values(examples, [0]);
        });
      }),
      { numRuns: cases, seed },
    );
  });
});
