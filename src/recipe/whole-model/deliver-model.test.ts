import { expect, it } from "vitest";
import type { TensorInfo, TensorReader } from "../../checkpoint/tensor-reader.js";
import { keep, Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";
import { deliverModel } from "./deliver-model.js";

it("keeps copies of a trained tensor the same, and lets others lie", () => {
  const stored = new Map<string, Float32Array>([
    ["embedding", Float32Array.of(1, 2, 3, 4)],
    ["head", Float32Array.of(1, 2, 3, 4)],
    ["other", Float32Array.of(1, 2, 3, 5)],
    ["mask", Float32Array.of(1, 2, 3, 4)],
  ]);
  const info = (name: string): TensorInfo => {
    const shape = name === "mask" ? [4] : [2, 2];
    return { name, dtype: "F32", shape, file: "model.safetensors", byteLength: 16 };
  };
  const bytesOf = (name: string): Uint8Array => new Uint8Array(stored.get(name)?.slice().buffer ?? new ArrayBuffer(0));
  const checkpoint: TensorReader = {
    folder: "/m",
    tensors: new Map([...stored.keys()].map((name) => [name, info(name)])),
    read: async (name) => bytesOf(name),
    readSync: bytesOf,
    willRead: () => {},
  };
  const handed = new Map<string, readonly number[]>();
  const ranges: unknown[] = [];
  const sink = {
    plain: (name: string, bytes: Uint8Array) => void handed.set(name, [...new Float32Array(bytes.slice().buffer)]),
    activation: (...range: unknown[]) => void ranges.push(range),
  };
  const trained = keep(Tensor.from(Float32Array.of(5, 6, 7, 8), [2, 2]));
  const job = { checkpoint, sink, poll: () => {} } as unknown as RecipeJob;
  const model = { weights: new Map([["embedding", trained]]) } as unknown as Parameters<typeof deliverModel>[1];
  deliverModel(job, model, new Map([["layer", { scale: 0.5, zeroPoint: 3 }]]));
  trained.dispose();
  expect([...handed]).toEqual([
    ["embedding", [5, 6, 7, 8]],
    ["head", [5, 6, 7, 8]],
  ]);
  expect(ranges).toEqual([["layer", 0.5, 3]]);
});
