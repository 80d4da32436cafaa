import { describe, expect, it } from "vitest";
import type { JsonObject } from "../checkpoint/json/json.js";
import { InitialWeights } from "./initial-weights.js";
import { tinyModel } from "./testing/tiny-models.js";

const config = { ...tinyModel("llama").config, dtype: "float32" } as JsonObject;
const floats = (bytes: Uint8Array): Float32Array => new Float32Array(Uint8Array.from(bytes).buffer);
const embedding = "model.embed_tokens.weight";

describe("random weights", () => {
  it("are normal numbers of the configuration's deviation, gains of 1 and biases of 0", () => {
    const weights = new InitialWeights("/m", { ...config, initializer_range: 0.05, vocab_size: 4096 }, 3);
    const values = floats(weights.readSync(embedding));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    expect(Math.abs(mean)).toBeLessThan(0.05 * 0.03);
    expect(Math.abs(spread / 0.05 - 1)).toBeLessThan(0.02);
    expect(new Set(floats(weights.readSync("model.norm.weight")))).toEqual(new Set([1]));
    const opt = new InitialWeights("/m", tinyModel("opt").config as JsonObject, 3);
    const biases = [...opt.tensors.keys()].filter((name) => name.endsWith(".bias"));
    expect(biases.length).toBeGreaterThan(0);
    for (const name of biases) expect(new Set(floats(opt.readSync(name)))).toEqual(new Set([0]));
  });

  it("follow from the seed and the name, in any order and in parts", () => {
    const [one, two] = [new InitialWeights("/m", config, 3), new InitialWeights("/m", config, 3)];
    const names = [...one.tensors.keys()];
    const all = new Map(names.map((name) => [name, one.readSync(name)]));
    for (const name of names.reverse()) expect(two.readSync(name)).toEqual(all.get(name));
    expect(two.readRangeSync(embedding, 8, 24)).toEqual(all.get(embedding)?.slice(8, 24));
    expect(new InitialWeights("/m", config, 4).readSync(embedding)).not.toEqual(all.get(embedding));
  });

  it("are stored as config.json says, and are those of its network alone", () => {
    const narrow = new InitialWeights("/m", { ...config, dtype: "bfloat16" }, 1);
    expect(narrow.readSync(embedding).byteLength).toBe(
      (narrow.tensors.get(embedding)?.shape ?? []).reduce((a, b) => a * b, 2),
    );
    expect(() => narrow.readSync("model.layers.99.mlp.up_proj.weight")).toThrow(/check the sizes/);
    // What a reader changes stays its own.
    narrow.readSync(embedding).fill(0);
    expect(narrow.readSync(embedding).some((byte) => byte !== 0)).toBe(true);
  });
});
