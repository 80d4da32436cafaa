import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkpointSource, Decoder } from "../../network/index.js";
import { codesOf } from "../../quant/from-quantized-weight.js";
import { dequantize } from "../../quant/grid/grid.js";
import { keep, liveHandles, scope, Tensor } from "../../tensor/index.js";
import type { RecipeEvent } from "../job/recipe-job.js";
import { runRecipe } from "../job/run-recipe.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import { type Delivered, type TinyNetwork, tinyJob, tinyNetwork, tinyTokens } from "../testing/tiny-run.js";

type Name = "gptq" | "boa" | "aespa" | "cbq";
// Heads of tiny models have fewer rows than are rounded at once by default.
const boa = { rowsAtOnce: 4 };
const brief: RecipeOptionsInput = { boa, aespa: { iterations: 40, zFold: 3 }, range: { candidates: 8 } };

function run(
  network: TinyNetwork,
  recipe: Name,
  scheme: string,
  options: RecipeOptionsInput = brief,
): { readonly delivered: Delivered; readonly events: readonly RecipeEvent[] } {
  const tokens = tinyTokens(network.spec, 12, 24);
  const { job, delivered } = tinyJob(network, recipe, scheme, options, { tokens });
  return { delivered, events: [...runRecipe(job)] };
}

const warnings = (events: readonly RecipeEvent[]): readonly RecipeEvent[] =>
  events.filter(({ event }) => event === "warning");

// Grouped heads, biases, norms over heads with gains and with 1 + weight, no rotary positions, and those of a part of each head.
describe.each(["llama", "qwen2", "qwen3", "gemma3_text", "opt", "phi", "stablelm"])("%s", (family) => {
  let network: TinyNetwork;
  beforeAll(async () => {
    network = await tinyNetwork(family);
  });
  afterAll(() => network[Symbol.dispose]());

  it.each(["boa", "aespa"] as const)("gets codes for all of its Linears from %s, and no memory stays", (recipe) => {
    const before = liveHandles();
    const { delivered, events } = run(network, recipe, "W2A16g8");
    expect(warnings(events)).toEqual([]);
    const linears = network.network.units.flatMap(({ layers }) => layers);
    expect([...delivered.weights.keys()].sort()).toEqual(linears.map(({ module }) => module).sort());
    expect(liveHandles()).toBe(before);
  });
});

describe("a Llama with grouped heads", () => {
  let network: TinyNetwork;
  beforeAll(async () => {
    network = await tinyNetwork(2);
  });
  afterAll(() => network[Symbol.dispose]());

  it("differs from GPTQ in queries, keys and values alone, until a later Linear sees what they give", () => {
    const [plain, ours] = [run(network, "gptq", "W2A16g8"), run(network, "boa", "W2A16g8")];
    const same = (module: string): boolean =>
      String(plain.delivered.weights.get(module)?.codes) === String(ours.delivered.weights.get(module)?.codes);
    for (const role of ["q_proj", "k_proj", "v_proj"]) expect(same(`model.layers.0.self_attn.${role}`)).toBe(false);
  });

  it("gives GPTQ's values where neither mixed inputs nor rows of the output count", () => {
    const options = { ...brief, boa: { ...boa, blockV: false, valueRows: false } };
    const [plain, ours] = [run(network, "gptq", "W2A16g8"), run(network, "boa", "W2A16g8", options)];
    const name = "model.layers.0.self_attn.v_proj";
    expect(ours.delivered.weights.get(name)?.codes).toEqual(plain.delivered.weights.get(name)?.codes);
  });

  it("computes the same after Z-Fold, but for what the dtype of the norms rounds", () => {
    const { delivered } = run(network, "aespa", "W8A16");
    expect(delivered.plain.size).toBeGreaterThan(0);
    const tokens = tinyTokens(network.spec, 2, 24);
    const source = checkpointSource(network.checkpoint, { device: "cpu", dtype: "float32" });
    using full = Decoder.load(source, network.spec);
    using folded = Decoder.load((name, shape) => {
      const weight = delivered.weights.get(name.replace(/\.weight$/, ""));
      if (weight !== undefined) return keep(dequantize(codesOf(weight, "cpu")));
      const bytes = delivered.plain.get(name);
      return bytes === undefined ? source(name, shape) : Tensor.fromBytes(bytes, shape, "float32", "cpu");
    }, network.spec);
    scope(() => {
      const ids = Tensor.from(BigInt64Array.from(tokens.ids, BigInt), [2, 24]);
      const [expected, actual] = [full.logits(ids), folded.logits(ids)];
      expect(actual.sub(expected).square().mean().item() / expected.square().mean().item()).toBeLessThan(1e-3);
    });
  });

  it("learns nothing in no step: the codes are those of the start", () => {
    const still = { ...brief, aespa: { zFold: 0, iterations: 0 } };
    const name = "model.layers.0.self_attn.q_proj";
    const [start, ours] = [run(network, "boa", "W2A16g8"), run(network, "aespa", "W2A16g8", still)];
    expect(ours.delivered.weights.get(name)?.codes).toEqual(start.delivered.weights.get(name)?.codes);
  });

  it.each(["boa", "aespa"] as const)("has its inputs quantized, by %s", (recipe) => {
    for (const granularity of ["token", "tensor"] as const) {
      const { events } = run(network, recipe, "W4A4", { ...brief, activation: { granularity } });
      expect(warnings(events)).toEqual([]);
    }
  });

  it("starts CBQ from BoA's codes", () => {
    const options = (start: "gptq" | "boa"): RecipeOptionsInput => ({
      rounding: { start },
      boa,
      window: { epochs: 0 },
      finish: "none",
    });
    const [from, other] = (["boa", "gptq"] as const).map((start) => run(network, "cbq", "W2A16g8", options(start)));
    const name = "model.layers.0.self_attn.q_proj";
    expect(warnings(from?.events ?? [])).toEqual([]);
    expect(from?.delivered.weights.get(name)?.codes).not.toEqual(other?.delivered.weights.get(name)?.codes);
  });

  it("leaves Linears of attention alone that an override skips", () => {
    const options = { ...brief, overrides: [{ pattern: "*.self_attn.*", skip: true }] };
    for (const recipe of ["boa", "aespa"] as const) {
      const { delivered } = run(network, recipe, "W2A16g8", options);
      expect([...delivered.weights.keys()].filter((name) => name.includes("self_attn"))).toEqual([]);
    }
  });
});
