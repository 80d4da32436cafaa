import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { exportResult } from "../../src/api/export-result.js";
import { inspect } from "../../src/api/inspect.js";
import { evaluate } from "../../src/api/model.js";
import type { QuantizeOptions } from "../../src/api/quantize.js";
import { verifyResult } from "../../src/api/verify-result.js";
import { openCompressedTensors } from "../../src/format/compressed-tensors/read.js";
import type { PlanEvent, QuantizeEvent } from "../../src/run/events/events.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { quantized, weightHashes } from "../fixtures/in-process/quantized.js";
import { stoppedAt } from "../fixtures/in-process/stopped-at.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";

vi.mock("../../src/run/engine/engine-client.js", () => import("../fixtures/engine-in-process.js"));

let place: Workplace;
let model = "";

const given = (out: string, more: Partial<QuantizeOptions> = {}): QuantizeOptions => ({
  ...{ model, scheme: "W2A16g32", asym: true, recipe: "slim", out: join(place.folder, out) },
  ...{ calibration: [place.text], samples: 4, context: 64, device: "cpu", score: false },
  // Every number of pairs that is judged is a GPTQ of its own.
  ...{ range: { candidates: 8 }, gptq: { widths: [1] } },
  ...more,
});

const weights = (out: string): readonly string[] => weightHashes(join(place.folder, out));

let whole: readonly QuantizeEvent[];
beforeAll(async () => {
  place = workplace(150);
  model = join(place.folder, "model");
  await writeCutModel(model, 2);
  whole = await quantized(given("whole"));
});
afterAll(() => place[Symbol.dispose]());

describe("a result whose groups have bits of their own", () => {
  it("has a mean of exactly the scheme's bits in every Linear, and codes that take no more", async () => {
    using result = await openCompressedTensors(join(place.folder, "whole"));
    let mixed = 0;
    for (const [module, { groupBits = [], rows, columns, groupSize }] of result.linears) {
      expect(groupBits.length).toBe(columns / groupSize);
      expect(groupBits.reduce((sum, bits) => sum + bits, 0)).toBe(2 * groupBits.length);
      expect(groupBits.every((bits) => bits >= 1 && bits <= 3)).toBe(true);
      if (groupBits.some((bits) => bits !== 2)) mixed++;
      const { codes } = await result.readQuantized(module);
      for (let i = 0; i < rows * columns; i++) {
        const bits = groupBits[Math.floor((i % columns) / groupSize)] ?? 0;
        if ((codes[i] ?? 0) >= 2 ** bits) throw new Error(`${module}: code ${codes[i]} of ${bits} bits`);
      }
    }
    expect(mixed).toBeGreaterThan(0);
    const plan = whole.find((event) => event.event === "plan") as PlanEvent;
    const written = whole.find((event) => event.event === "exported");
    expect(plan.exports[0]?.bytes).toBeLessThanOrEqual(written?.event === "exported" ? written.bytes : 0);
  });

  it("continues where it was stopped, to the same bytes", async () => {
    await stoppedAt("window-done", given("resumed"));
    await quantized(given("resumed"));
    expect(weights("resumed")).toEqual(weights("whole"));
  });

  it("is inspected, evaluated, verified, and written once more", async () => {
    const path = join(place.folder, "whole");
    const { tensors, scheme, meanCodeBits, quantizedBitsPerWeight } = await inspect(path);
    // What plan, last line and record promise.
    const plan = whole.find((event) => event.event === "plan") as PlanEvent;
    expect((plan.bitsPerWeight / (quantizedBitsPerWeight ?? 0)).toFixed(3)).toBe("1.000");
    expect(scheme).toBe("W2A16g32");
    expect(tensors.some(({ type }) => type === "W2.0 (1-3)g32 asym")).toBe(true);
    // Not the bits of the widest group.
    expect(meanCodeBits).toBeCloseTo(2, 10);
    const { value } = await evaluate(path, { text: place.text, context: 64, device: "cpu" });
    const { value: exact } = await evaluate(model, { text: place.text, context: 64, device: "cpu" });
    // Two bits on 256 tokens lose much; GPTQ with one width loses more.
    await quantized(given("gptq", { recipe: "gptq" }));
    const { value: uniform } = await evaluate(join(place.folder, "gptq"), {
      text: place.text,
      context: 64,
      device: "cpu",
    });
    expect(value).toBeLessThan(1.1 * uniform);
    expect(value).toBeGreaterThan(exact);
    const certified: boolean[] = [];
    for await (const event of verifyResult({ result: path, runtimes: false })) {
      if (event.event === "certified") certified.push(event.agrees);
    }
    expect(certified).toEqual([true]);
  });

  it.each(["gptq", "gguf", "onnx"] as const)(
    "is refused by %s before work starts, and as an export",
    async (format) => {
      const message = /has one width a Linear.*--recipe gptq --bits-budget/;
      await expect(quantized(given("refused", { format: [format], dryRun: true }))).rejects.toThrow(message);
      const exporting = async (): Promise<void> => {
        const out = join(place.folder, `export-${format}`);
        for await (const _ of exportResult({ result: join(place.folder, "whole"), format: [format], out }));
      };
      await expect(exporting()).rejects.toThrow(message);
    },
  );

  it.each([
    ["W2A16", /a row is one group.*Next: give groups/],
    ["W8A16g32", /8 bits at most.*Next: use --recipe gptq/],
  ] as const)("is refused where nothing can be shared out, before work starts: %s", async (scheme, message) => {
    await expect(quantized(given("nothing", { scheme }))).rejects.toThrow(message);
  });

  describe("learns its ranges too (SliM-LLM+)", () => {
    const learnt = (out: string, more: Partial<QuantizeOptions> = {}): QuantizeOptions =>
      given(out, { slim: { clipping: "learnt", epochs: 6, batch: 2 }, ...more });
    const lossOf = (events: readonly QuantizeEvent[]): number =>
      events.reduce((sum, event) => sum + (event.event === "window-done" ? (event.lossAfter?.total ?? 0) : 0), 0);
    it("under codes and bits that stay, to a lower loss of every block, and the same bytes where it was stopped", async () => {
      const events = await quantized(learnt("plus"));
      // A rate of next to nothing leaves the ranges that SliM-LLM found.
      const still = await quantized(learnt("still", { slim: { clipping: "learnt", epochs: 1, rate: 1e-9 } }));
      expect(weights("still")).toEqual(weights("whole"));
      expect(lossOf(events)).toBeGreaterThan(0);
      expect(lossOf(events)).toBeLessThan(0.95 * lossOf(still));
      using searched = await openCompressedTensors(join(place.folder, "whole"));
      using plus = await openCompressedTensors(join(place.folder, "plus"));
      // What the first block sees is the same, so that its bits and codes are.
      for (const [module, { groupBits = [] }] of plus.linears) {
        expect(groupBits.reduce((sum, bits) => sum + bits, 0)).toBe(2 * groupBits.length);
        if (!module.includes("layers.0.")) continue;
        const [before, after] = await Promise.all([searched.readQuantized(module), plus.readQuantized(module)]);
        expect([after.groupBits, after.codes, after.zeroPoints]).toEqual([
          before.groupBits,
          before.codes,
          before.zeroPoints,
        ]);
        expect(after.scales).not.toEqual(before.scales);
      }
    });

    it("under the nearest codes as the paper has it, at the same mean", async () => {
      const nearest = { clipping: "learnt", codes: "nearest", batch: 2 } as const;
      const events = await quantized(learnt("nearest", { slim: { ...nearest, epochs: 8, rate: 3e-2 } }));
      const still = await quantized(learnt("nearest-still", { slim: { ...nearest, epochs: 1, rate: 1e-9 } }));
      expect(lossOf(events)).toBeLessThan(lossOf(still));
      using result = await openCompressedTensors(join(place.folder, "nearest"));
      for (const { groupBits = [] } of result.linears.values()) {
        expect(groupBits.reduce((sum, bits) => sum + bits, 0)).toBe(2 * groupBits.length);
      }
    });

    it("continues where it was stopped, to the same bytes", async () => {
      await stoppedAt("window-done", learnt("plus-resumed"));
      await quantized(learnt("plus-resumed"));
      expect(weights("plus-resumed")).toEqual(weights("plus"));
    });
  });

  it("may be trained end to end, under its codes, and has ranges by salience with the paper's preset", async () => {
    const events = await quantized(
      given("scales", { finish: "scales", endToEnd: { epochs: 1, batch: 2 }, preset: "paper" }),
    );
    const done = events.flatMap((event) => (event.event === "window-done" ? [event] : [])).at(-1);
    expect(done?.lossAfter?.total).toBeLessThan(done?.lossBefore?.total ?? 0);
  });
});
