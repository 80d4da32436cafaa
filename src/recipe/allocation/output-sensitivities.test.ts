import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkpointSource, Decoder, tokenIds } from "../../network/index.js";
import { dequantize, roundToNearest } from "../../quant/grid/grid.js";
import { searchRange } from "../../quant/grid/range.js";
import { liveHandles, scope, type Tensor } from "../../tensor/index.js";
import { resolveSchemes } from "../job/layer-schemes.js";
import type { RecipeJob } from "../job/recipe-job.js";
import { recipeOf } from "../job/recipe-names.js";
import { type TinyNetwork, tinyJob, tinyNetwork, tinyTokens } from "../testing/tiny-run.js";
import { outputSensitivities, probedSequences } from "./output-sensitivities.js";

const WIDTHS = [2, 3, 4, 5, 8];
const SEQUENCES = 96;
let network: TinyNetwork;

beforeAll(async () => {
  network = await tinyNetwork(2);
});

afterAll(() => network[Symbol.dispose]());

function measure(more: Partial<RecipeJob> = {}): ReadonlyMap<string, ReadonlyMap<number, number>> {
  const tokens = tinyTokens(network.spec, SEQUENCES);
  const { job } = tinyJob(network, "gptq", "W3A16g8", {}, { tokens, ...more });
  const schemes = resolveSchemes(job.network.units, job.scheme, []);
  const steps = outputSensitivities(job, schemes, () => WIDTHS);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

describe("what bits are worth to the output", () => {
  it("is the divergence that rounding a single Linear makes, as long as that is small", () => {
    const found = measure({ recipe: recipeOf("rtn") });
    const { spec, checkpoint } = network;
    using decoder = Decoder.load(checkpointSource(checkpoint, { device: "cpu", dtype: "float32" }), spec);
    const { ids, sequences, context } = tinyTokens(spec, SEQUENCES);
    const logarithms = (): Tensor =>
      scope(() => decoder.logits(tokenIds(spec, ids, [sequences, context], "cpu")).logSoftmax(-1));
    for (const [block, layer] of [
      [0, "v"],
      [0, "down"],
      [1, "gate"],
      [1, "o"],
    ] as const) {
      scope(() => {
        const module = network.network.units[block]?.layers.find(({ name }) => name === layer)?.module ?? "";
        const weight = decoder.blocks[block]?.layers.get(layer)?.weight as Tensor;
        const [exact, before] = [weight.clone(), logarithms()];
        const scheme = { bits: 5, groupSize: 8, symmetric: true, activationBits: 16 } as const;
        weight.copy_(dequantize(roundToNearest(exact, searchRange(exact, scheme, module, { candidates: 16 }))));
        const after = logarithms();
        weight.copy_(exact);
        const divergence = before.exp().mul(before.sub(after)).sum().item() / (sequences * context);
        const ratio = (found.get(module)?.get(5) ?? 0) / divergence;
        expect(ratio, module).toBeGreaterThan(0.7);
        expect(ratio, module).toBeLessThan(1.4);
      });
    }
  });

  it("falls with every bit, about as the square of the step", () => {
    const found = measure();
    expect(found.size).toBe(14);
    for (const [module, losses] of found) {
      const values = WIDTHS.map((bits) => losses.get(bits) ?? Number.NaN);
      expect(values.every((value, i) => value > 0 && (i === 0 || value < (values[i - 1] as number)))).toBe(true);
      // Four bits make the step 16 times as small.
      expect((values[2] as number) / (values[4] as number), module).toBeGreaterThan(60);
    }
  });

  it("is the same each time, and leaves no tensor behind", () => {
    const live = liveHandles();
    const whole = measure();
    const again = measure();
    expect([...again].map(([, losses]) => [...losses])).toEqual([...whole].map(([, losses]) => [...losses]));
    expect(liveHandles()).toBe(live);
  });

  it("leaves no tensor behind where it is cancelled on any of its ways", () => {
    const live = liveHandles();
    for (const at of [0, 1, 5, 12, 20, 40]) {
      let polls = 0;
      const poll = (): void => {
        if (polls++ === at) throw new RangeError("cancelled");
      };
      expect(() => measure({ poll })).toThrow("cancelled");
      expect(liveHandles()).toBe(live);
    }
  });
});

it("takes as many sequences as hold 16,384 tokens, at least one", () => {
  expect(probedSequences(128, 2048)).toBe(8);
  expect(probedSequences(4, 2048)).toBe(4);
  expect(probedSequences(128, 100_000)).toBe(1);
  expect(probedSequences(128, 1000)).toBe(17);
});
