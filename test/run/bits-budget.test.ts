import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { inspect } from "../../src/api/inspect.js";
import type { QuantizeOptions } from "../../src/api/quantize.js";
import { formatPlan } from "../../src/cli/plan-text.js";
import { openCompressedTensors } from "../../src/format/compressed-tensors/read.js";
import type { AllocationEvent, PlanEvent, QuantizeEvent } from "../../src/run/events/events.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { quantized, weightHashes } from "../fixtures/in-process/quantized.js";
import { stoppedAt } from "../fixtures/in-process/stopped-at.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";

vi.mock("../../src/run/engine/engine-client.js", () => import("../fixtures/engine-in-process.js"));

let place: Workplace;
let model = "";

const given = (out: string, more: Partial<QuantizeOptions> = {}): QuantizeOptions => ({
  ...{ model, scheme: "W3A16g32", bitsBudget: 2.6, recipe: "gptq", out: join(place.folder, out) },
  ...{ calibration: [place.text], samples: 4, context: 64, device: "cpu", score: false, range: { candidates: 6 } },
  ...more,
});

function allocationIn(events: readonly QuantizeEvent[]): AllocationEvent {
  const found = events.filter((event) => event.event === "allocation");
  expect(found.length).toBe(1);
  // When it was said differs.
  const { budget, meanBits, bitsPerWeight, loss, bits } = found[0] as AllocationEvent;
  return { event: "allocation", budget, meanBits, bitsPerWeight, loss, bits };
}

const weights = (out: string): readonly string[] => weightHashes(join(place.folder, out));

let whole: readonly QuantizeEvent[];
beforeAll(async () => {
  place = workplace(150);
  model = join(place.folder, "model");
  await writeCutModel(model, 3);
  whole = await quantized(given("whole"));
});
afterAll(() => place[Symbol.dispose]());

describe("a budget of bits", () => {
  it("is kept, and its Linears get the bits that event, record and files name", async () => {
    const { bits, meanBits, bitsPerWeight, budget } = allocationIn(whole);
    expect(budget).toBe(2.6);
    expect(meanBits).toBeLessThanOrEqual(2.6);
    expect(meanBits).toBeGreaterThan(2.5);
    // A scale of 16 bits for 32 codes.
    expect(bitsPerWeight).toBeCloseTo(meanBits + 0.5, 10);
    expect(new Set(Object.values(bits)).size).toBeGreaterThan(1);
    using result = await openCompressedTensors(join(place.folder, "whole"));
    expect(Object.fromEntries([...result.linears].map(([name, layout]) => [name, layout.bits]))).toEqual(bits);
    for (const block of [0, 1, 2]) {
      const of = (layer: string): number | undefined => bits[`model.layers.${block}.${layer}_proj`];
      expect(new Set([of("self_attn.q"), of("self_attn.k"), of("self_attn.v")]).size).toBe(1);
      expect(of("mlp.gate")).toBe(of("mlp.up"));
    }
    const record = JSON.parse(readFileSync(join(place.folder, "whole", "crossblock.json"), "utf8"));
    const { event: _, ...shared } = allocationIn(whole);
    expect(record).toMatchObject({ allocation: shared, bitsPerWeight });
    expect((await inspect(join(place.folder, "whole"))).meanCodeBits).toBeCloseTo(meanBits, 10);
  });

  it("is planned: size, and that it is shared out later", async () => {
    const plan = whole.find((event) => event.event === "plan") as PlanEvent;
    expect(plan.bitsBudget).toBe(2.6);
    expect(plan.bitsPerWeight).toBeLessThanOrEqual(3.1);
    expect(plan.bitsPerWeight).toBeGreaterThan(3.0);
    expect(formatPlan(plan)).toMatch(/^budget: +2\.6 bits a code on average, scales and zero points on top/m);
  });

  it("is kept by a recipe that shares bits out its own way", async () => {
    const events = await quantized(
      given("brecq", { recipe: "brecq", brecq: { epochs: 1 }, allocation: { widths: [2, 3, 4] } }),
    );
    const { bits, meanBits, loss } = allocationIn(events);
    expect(meanBits).toBeLessThanOrEqual(2.6);
    expect(meanBits).toBeGreaterThan(2.4);
    expect(loss).toBeGreaterThan(0);
    expect(new Set(Object.values(bits)).size).toBeGreaterThan(1);
    for (const block of [0, 1, 2]) {
      const of = (layer: string): number | undefined => bits[`model.layers.${block}.${layer}_proj`];
      expect(of("self_attn.q")).toBe(of("self_attn.k"));
    }
  });

  it("is shared out once: a continued run takes what was found, to the same bytes", async () => {
    await stoppedAt("window-done", given("resumed"));
    const events = await quantized(given("resumed"));
    const stages = events.flatMap((event) => (event.event === "progress" ? [event.stage] : []));
    expect(stages.some((stage) => stage.includes("bits are worth"))).toBe(false);
    expect(allocationIn(events)).toEqual(allocationIn(whole));
    expect(weights("resumed")).toEqual(weights("whole"));
  });

  it("is taken up where a run ended before its first window", async () => {
    await stoppedAt("allocation", given("early"));
    const events = await quantized(given("early"));
    const stages = events.flatMap((event) => (event.event === "progress" ? [event.stage] : []));
    expect(stages.some((stage) => stage.includes("bits are worth"))).toBe(false);
    expect(weights("early")).toEqual(weights("whole"));
  });

  it("is shared out over the bits that all formats hold, for recipes that train too", async () => {
    const events = await quantized(
      given("formats", {
        ...{ scheme: "W4A16g32", bitsBudget: 3.5, recipe: "cbq", format: ["gguf", "gptq", "onnx"], finish: "none" },
        ...{ window: { epochs: 1, batch: 2 }, overrides: [{ pattern: "*.down_proj", bits: 8 }] },
      }),
    );
    const { bits, meanBits } = allocationIn(events);
    expect(meanBits).toBeLessThanOrEqual(3.5);
    for (const [name, width] of Object.entries(bits)) {
      if (name.endsWith("down_proj")) expect(width).toBe(8);
      else expect([2, 4]).toContain(width);
    }
    expect(events.filter(({ event }) => event === "exported").length).toBe(4);
  });

  it("looks at text of the package where none was given, with a recipe that needs none too", async () => {
    const events = await quantized(given("no-text", { calibration: [], recipe: "rtn", device: "cpu", dryRun: true }));
    const plan = events.find((event) => event.event === "plan");
    expect(plan?.text).toMatchObject({ source: "bundled" });
  });

  it.each<[Partial<QuantizeOptions>, RegExp]>([
    [{ scheme: "W2A16g32" }, /mean of 2\.6 bits.*W2A16g32 says 2.*--scheme W3A16g32/],
    [{ bitsBudget: 1.5 }, /"bitsBudget"/],
    [{ bitsBudget: null, allocation: { tied: false } }, /"allocation\.tied".*with --bits-budget.*give --bits-budget/],
    [{ format: ["gguf"], scheme: "W3A16g16" }, /GGUF has no block type.*quantize with/],
    [{ allocation: { widths: [3, 4] } }, /the fewest bits .* are 3 on average.*budget is 2\.6.*--bits-budget 3/],
    [{ overrides: [{ pattern: "*", bits: 4 }] }, /"bitsBudget".*use --bits-budget 4 --scheme W4A16g32$/],
    [
      { overrides: [{ pattern: "*", bits: 8 }], format: ["gptq"] },
      /"bitsBudget".*use --bits-budget 8 --scheme W8A16g32$/,
    ],
    [{ overrides: [{ pattern: "*.down_proj", bits: 8 }] }, /overrides count in the budget.*--bits-budget 3\.\d+/],
    [{ allocation: { widths: [5, 6] }, format: ["gptq"] }, /GPTQ has no layout of 5 bits/],
  ])("is refused before work starts: %j", async (more, message) => {
    await expect(quantized(given("refused", { ...more, dryRun: true }))).rejects.toThrow(message);
  });
});
