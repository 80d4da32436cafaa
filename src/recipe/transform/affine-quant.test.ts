import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkpointSource, Decoder, DecoderNetwork, linearOf, type UnitWeights } from "../../network/index.js";
import { keep, liveHandles, noGrad, scope, Tensor } from "../../tensor/index.js";
import { MatrixModel } from "../../transform/affine/matrix-model.js";
import { affineQuant } from "../affine-quant.js";
import type { RecipeEvent, RecipeJob, WindowDoneEvent } from "../job/recipe-job.js";
import { runRecipe } from "../job/run-recipe.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import type { Recipe } from "../recipe.js";
import {
  type Delivered,
  familyNetwork,
  type TinyNetwork,
  tinyJob,
  tinyNetwork,
  tinyTokens,
} from "../testing/tiny-run.js";

type Quantizable = Pick<RecipeJob, "checkpoint" | "network"> & Pick<TinyNetwork, "folder" | "spec">;

interface Outcome extends Delivered {
  readonly windows: readonly WindowDoneEvent[];
  readonly warnings: readonly RecipeEvent[];
}

function run(
  network: Quantizable,
  scheme: string,
  options: RecipeOptionsInput,
  more: Partial<RecipeJob> = {},
): Outcome {
  const live = liveHandles();
  const { job, delivered } = tinyJob(network, "affine-quant", scheme, options, {
    tokens: tinyTokens(network.spec, 8, 24),
    ...more,
  });
  const events = [...runRecipe(job)];
  expect(liveHandles()).toBe(live);
  return {
    ...delivered,
    windows: events.filter((event) => event.event === "window-done"),
    warnings: events.filter((event) => event.event === "warning"),
  };
}

const lossAfter = ({ windows }: Outcome): number =>
  windows.reduce((sum, { lossAfter: loss }) => sum + (loss?.total ?? 0), 0);

/** One channel in 32 of what a norm gives, thirty times as large, and the columns that read it a thirtieth. */
function withOutliers(name: string, values: Float32Array, shape: readonly number[]): void {
  const [channel, factor] = [5, 30];
  const columns = shape[1] ?? 1;
  const isNorm = /layers\.\d+\.\w*norm/.test(name);
  const reads = /(q|k|v)_proj\.weight|fc1\.weight/.test(name);
  if (isNorm) values[channel] = (values[channel] ?? 0) * factor;
  if (reads) for (let i = channel; i < values.length; i += columns) values[i] = (values[i] ?? 0) / factor;
}

/** The same network with matrices behind its norms, where they are asked for: the identity. */
function withNorms(network: TinyNetwork, norms: "diagonal" | "matrix"): Quantizable {
  if (norms === "diagonal") return network;
  const checkpoint = new MatrixModel(network.checkpoint, network.spec);
  const { spec } = checkpoint;
  return { ...network, checkpoint, spec, network: new DecoderNetwork(spec) };
}

describe("AffineQuant", () => {
  let llama: TinyNetwork;
  let opt: TinyNetwork;
  // Gains are stored less one there, and norms lie behind queries and keys.
  let gemma: TinyNetwork;
  beforeAll(async () => {
    llama = await tinyNetwork(2);
    opt = await familyNetwork("opt", withOutliers);
    gemma = await tinyNetwork("gemma3_text");
  });
  afterAll(() => {
    for (const network of [llama, opt, gemma]) network[Symbol.dispose]();
  });

  it.each(["token", "tensor"] as const)("lowers every block's error, inputs per %s", (granularity) => {
    const outcome = run(llama, "W4A4", { affine: { epochs: 12, batch: 2 }, activation: { granularity } });
    expect(outcome.windows.length).toBe(llama.spec.blocks.length);
    for (const { lossBefore, lossAfter: after } of outcome.windows) {
      expect(after?.total).toBeLessThan(0.98 * (lossBefore?.total ?? 0));
    }
    expect(outcome.weights.size).toBe(7 * llama.spec.blocks.length);
    expect([...outcome.plain.keys()].filter((name) => name.includes("layers.0")).sort()).toEqual([
      "model.layers.0.input_layernorm.weight",
      "model.layers.0.post_attention_layernorm.weight",
    ]);
  });

  it("loses less with matrices than with diagonals where LayerNorms make outliers", () => {
    const loss = (alpha: number): number =>
      lossAfter(run(opt, "W4A4", { affine: { epochs: 24, batch: 2, alpha }, activation: { learnClip: false } }));
    const [diagonal, matrices] = [loss(0), loss(1)];
    const start = lossAfter(run(opt, "W4A4", { affine: { epochs: 0 } }));
    expect(diagonal).toBeLessThan(start);
    expect(matrices).toBeLessThan(diagonal);
  });

  it("loses less with matrices behind norms than with diagonals there", () => {
    const loss = (norms: "diagonal" | "matrix"): number =>
      lossAfter(run(withNorms(opt, norms), "W4A4", { affine: { epochs: 24, batch: 2, alpha: 1, norms } }));
    expect(loss("matrix")).toBeLessThan(0.95 * loss("diagonal"));
  });

  it.each(["diagonal", "matrix"] as const)("frees all that it held of gains that are stored less one, %s", (norms) => {
    const { windows, warnings } = run(withNorms(gemma, norms), "W4A4", { affine: { epochs: 1, norms } });
    expect([windows.length, warnings]).toEqual([gemma.spec.blocks.length, []]);
  });

  it("is training of diagonals where alpha is too small to tell, bit for bit", () => {
    const codes = (alpha: number): unknown => {
      const { weights, plain } = run(opt, "W3A16g8", { affine: { epochs: 3, batch: 4, alpha } });
      return { weights, plain };
    };
    expect(codes(1e-30)).toEqual(codes(0));
    expect(codes(1)).not.toEqual(codes(0));
  });

  it.each([
    ["llama", "diagonal"],
    ["opt", "diagonal"],
    ["llama", "matrix"],
    ["opt", "matrix"],
    ["gemma", "diagonal"],
    ["gemma", "matrix"],
  ] as const)("leaves the logits as they are without quantizers: %s, behind norms a %s", (family, norms) => {
    const opened = { llama, opt, gemma }[family];
    const network = withNorms(opened, norms);
    const folded = new Map<string, Tensor>();
    // What training left of the weights, before they become codes.
    const recipe: Recipe = {
      ...(affineQuant as unknown as Recipe),
      *solve(work) {
        const solved = yield* (affineQuant as unknown as Recipe).solve(work);
        for (const block of work.blocks) {
          for (const [name, { name: module }] of block.layers) {
            folded.set(`${module}.weight`, keep(noGrad(() => scope(() => block.transformedWeight(name).clone()))));
          }
        }
        return solved;
      },
    };
    const { job, delivered } = tinyJob(
      network,
      "affine-quant",
      "W4A4",
      { affine: { epochs: 10, batch: 2, alpha: 1, norms } },
      { recipe, tokens: tinyTokens(network.spec, 8, 24) },
    );
    for (const _ of runRecipe(job));
    const source = checkpointSource(network.checkpoint, { device: "cpu", dtype: "float32" });
    using full = Decoder.load(checkpointSource(opened.checkpoint, { device: "cpu", dtype: "float32" }), opened.spec);
    using changed = Decoder.load((name, shape) => {
      const plain = delivered.plain.get(name);
      if (plain !== undefined) return keep(Tensor.fromBytes(plain, shape, "float32"));
      return folded.get(name) ?? source(name, shape);
    }, network.spec);
    const [before, after] = [full.blocks[0], changed.blocks[0]] as readonly [UnitWeights, UnitWeights];
    scope(() => {
      const ids = Tensor.from(BigInt64Array.from(tinyTokens(network.spec, 2, 24).ids, BigInt), [2, 24]);
      const [expected, actual] = [full.logits(ids), changed.logits(ids)];
      expect(actual.sub(expected).abs().amax().item() / expected.abs().amax().item()).toBeLessThan(1e-5);
      const mixed = norms === "matrix" ? opened.spec.blocks.length * 2 : 0;
      expect([...delivered.plain.keys()].filter((name) => name.endsWith(".matrix")).length).toBe(mixed);
      const difference = linearOf(after, "o").weight.sub(linearOf(before, "o").weight).abs().amax().item();
      expect(difference).toBeGreaterThan(0.01);
    });
  });

  it("stands in front of the windows of CBQ, which lose less behind it where norms make outliers", () => {
    const solved = (options: RecipeOptionsInput): WindowDoneEvent[] => {
      const { job, delivered } = tinyJob(
        opt,
        "cbq",
        "W4A4",
        { window: { epochs: 4, batch: 4 }, cfp: { activations: false }, finish: "none", ...options },
        { tokens: tinyTokens(opt.spec, 8, 24) },
      );
      const done = [...runRecipe(job)].filter((event) => event.event === "window-done");
      expect(delivered.plain.size).toBe("transform" in options ? opt.spec.blocks.length * 8 : 0);
      return done;
    };
    const total = (done: WindowDoneEvent[]): number => done.at(-1)?.lossAfter?.total ?? 0;
    const affine = { transform: "affine", affine: { epochs: 8, batch: 2, alpha: 1 } } as const;
    expect(total(solved(affine))).toBeLessThan(total(solved({})));
  });

  it("leaves a Linear alone that an override skips, and with it the norm that it reads", () => {
    const { plain, weights } = run(llama, "W4A4", {
      affine: { epochs: 2, batch: 4 },
      overrides: [{ pattern: "*.0.self_attn.v_proj", skip: true }],
    });
    expect(weights.has("model.layers.0.self_attn.v_proj")).toBe(false);
    expect([
      plain.has("model.layers.0.input_layernorm.weight"),
      plain.has("model.layers.1.input_layernorm.weight"),
    ]).toEqual([false, true]);
  });

  it("is rounding of scaled weights in no epoch", () => {
    const { windows, plain } = run(opt, "W4A4", { affine: { epochs: 0 } });
    for (const { lossBefore, lossAfter: after } of windows) expect(after?.total).toBeCloseTo(lossBefore?.total ?? 0, 6);
    // Norms with gains and shifts, and the biases of queries, keys, values and the MLP's first Linear.
    expect(plain.size).toBe(opt.spec.blocks.length * 8);
  });
});
