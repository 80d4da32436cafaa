import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import {
  DecoderNetwork,
  type DecoderSpec,
  layerOf,
  loadTensor,
  readModel,
  type UnitPlan,
} from "../../network/index.js";
import { tinyExperts, writeRandomModel } from "../../network/testing/tiny-experts.js";
import { fromQuantizedWeight } from "../../quant/from-quantized-weight.js";
import { dequantize } from "../../quant/grid/grid.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { parseScheme } from "../../quant/scheme.js";
import { SecondMoments } from "../../quant/second-moments.js";
import { gptq } from "../../quant/solver/gptq.js";
import { groupSizes, noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { RecipeEvent, RecipeJob } from "../job/recipe-job.js";
import { runRecipe } from "../job/run-recipe.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import { UnitSource } from "../state/unit-source.js";
import { type Delivered, tinyJob } from "../testing/tiny-run.js";

const EXPERTS = tinyExperts.num_experts;
const attentionAlone: RecipeOptionsInput = {
  overrides: [{ pattern: "*self_attn*", skip: true }],
  finish: "none",
};

describe("experts of a mixture", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let stored: Checkpoint;
  let model: { readonly checkpoint: RecipeJob["checkpoint"]; readonly spec: DecoderSpec };
  beforeAll(async () => {
    folder = temporaryFolder();
    await writeRandomModel(folder.path, tinyExperts);
    stored = await Checkpoint.open(folder.path);
    model = readModel(await readModelConfig(folder.path), stored);
  });
  afterAll(() => {
    stored.close();
    folder[Symbol.dispose]();
  });

  function jobOf(recipe: "rtn" | "gptq" | "cbq" | "efficient-qat", options: RecipeOptionsInput) {
    const network = new DecoderNetwork(model.spec);
    return tinyJob({ ...model, network, folder: folder.path }, recipe, "W3A16g16", options);
  }

  function run({ job, delivered }: ReturnType<typeof jobOf>): { events: RecipeEvent[]; delivered: Delivered } {
    return { events: [...runRecipe(job)], delivered };
  }

  it.each([
    ["rtn", {}],
    ["gptq", { expertTokens: 8 }],
    ["cbq", { window: { epochs: 2, batch: 2 }, expertTokens: 8 }],
    ["efficient-qat", { blockAp: { epochs: 1 } }],
  ] as const)("are quantized by %s, all of them, and their routers stay", (recipe, options) => {
    const { delivered, events } = run(jobOf(recipe, { ...options, finish: "none" }));
    const names = [...delivered.weights.keys()].filter((name) => name.includes("layers.1.mlp")).sort();
    expect(names).toEqual([
      "model.layers.1.mlp.experts.down_proj",
      "model.layers.1.mlp.experts.gate_proj",
      "model.layers.1.mlp.experts.up_proj",
      "model.layers.1.mlp.shared_expert.down_proj",
      "model.layers.1.mlp.shared_expert.gate_proj",
      "model.layers.1.mlp.shared_expert.up_proj",
    ]);
    expect(delivered.weights.get(names[0] as string)).toMatchObject({ rows: EXPERTS * 32, columns: 16 });
    const windows = events.filter(({ event }) => event === "window-done");
    expect(windows.length).toBeGreaterThan(0);
    for (const each of windows) {
      if (each.event !== "window-done") continue;
      for (const { relativeError } of each.layers) expect(relativeError).toBeLessThan(0.3);
      if (each.lossBefore !== null && each.lossAfter !== null) {
        expect(each.lossAfter.total).toBeLessThanOrEqual(each.lossBefore.total * 1.05);
      }
    }
  });

  it("get GPTQ's codes for the tokens that are routed to each", () => {
    const { delivered } = run(jobOf("gptq", { ...attentionAlone, expertTokens: 0 }));
    const { job } = jobOf("gptq", attentionAlone);
    noGrad(() =>
      scope(() => {
        const expected = byHand(job, 0, "expertUp");
        const found = fromQuantizedWeight(
          delivered.weights.get("model.layers.0.mlp.experts.up_proj") as QuantizedWeight,
          "cpu",
        );
        expected.forEach((weight, expert) => {
          const own = found.narrow(0, expert * 16, 16);
          expect([expert, own.sub(weight).abs().amax().item()]).toEqual([expert, 0]);
        });
      }),
    );
  });

  it("that get few tokens see all of them, and a warning says which", () => {
    const few = run(jobOf("gptq", { ...attentionAlone, expertTokens: 1000 }));
    const all = run(jobOf("gptq", { ...attentionAlone, experts: "all" }));
    const warnings = few.events.filter(({ event }) => event === "warning");
    expect(warnings[0]).toMatchObject({
      where: "block 0",
      message: expect.stringMatching(/^6 of 6 experts compute few tokens .*: 0 \(\d+\), /),
      next: expect.stringContaining("--experts all"),
    });
    expect(all.events.filter(({ event }) => event === "warning")).toEqual([]);
    // Six sequences of 16 tokens, each token with two experts.
    const done = few.events.find(({ event }) => event === "window-done");
    const layers = done?.event === "window-done" ? done.layers : [];
    const counted = layers.find(({ name }) => name.endsWith("experts.up_proj"))?.tokens ?? [];
    expect(counted.reduce((sum, count) => sum + count, 0)).toBe(6 * 16 * 2);
    expect(layers.find(({ name }) => name.endsWith("shared_expert.up_proj"))).not.toHaveProperty("tokens");
    const routed = run(jobOf("gptq", { ...attentionAlone, expertTokens: 0 }));
    for (const [name, weight] of all.delivered.weights) {
      expect(few.delivered.weights.get(name)?.codes).toEqual(weight.codes);
      // Inputs of the second block differ by what the first one became.
      if (!name.includes("layers.0.")) continue;
      const same = Buffer.compare(routed.delivered.weights.get(name)?.codes as Uint8Array, weight.codes) === 0;
      expect([name, same]).toEqual([name, !name.includes(".experts.")]);
    }
  });

  /** GPTQ of the experts of a block's Linear, each on the rows that a forward pass gives it. */
  function byHand(job: RecipeJob, block: number, name: string): Tensor[] {
    const source = new UnitSource(job, job.tokens?.context ?? 1);
    const unit = source.open(block, false);
    const plan = job.network.units[block] as UnitPlan;
    const { rows, columns, module } = layerOf(plan, name);
    const sums = Array.from({ length: EXPERTS }, () => new SecondMoments(columns, "cpu"));
    const start = job.network.begin((tensor, shape) =>
      loadTensor(job.checkpoint, tensor, shape, { device: "cpu", dtype: "float32" }),
    );
    const { ids, sequences, context } = job.tokens as NonNullable<RecipeJob["tokens"]>;
    const x = start.run(ids, [sequences, context]);
    unit.forwardFull(x, (layer, input, _linear, groups) => {
      if (layer !== name || groups === undefined) return;
      let first = 0;
      groupSizes(groups).forEach((size, expert) => {
        if (size > 0) sums[expert]?.add(input.narrow(0, first, size));
        first += size;
      });
    });
    const weight = unit.exactWeight(name);
    const each = rows / EXPERTS;
    const chosen = sums.map((moments, expert) => {
      const { codes } = gptq(weight.narrow(0, expert * each, each), moments, parseScheme("W3A16g16"), module, {
        ...job.options.gptq,
        candidates: 60,
      });
      return dequantize(codes);
    });
    for (const moments of sums) moments.dispose();
    start.dispose();
    unit.dispose();
    source.dispose();
    return chosen;
  }
});
