import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { exportResult } from "../../src/api/export-result.js";
import { inspect } from "../../src/api/inspect.js";
import { evaluate, loadModel } from "../../src/api/model.js";
import type { QuantizeOptions } from "../../src/api/quantize.js";
import { verifyResult } from "../../src/api/verify-result.js";
import type { PlanEvent, QuantizeEvent } from "../../src/run/events/events.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { quantized, weightHashes } from "../fixtures/in-process/quantized.js";
import { stoppedAt } from "../fixtures/in-process/stopped-at.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";

vi.mock("../../src/run/engine/engine-client.js", () => import("../fixtures/engine-in-process.js"));

let place: Workplace;
let model = "";

const given = (out: string, more: Partial<QuantizeOptions> = {}): QuantizeOptions => ({
  ...{ model, scheme: "W4A16g32", asym: true, recipe: "affine-quant", out: join(place.folder, out) },
  ...{ calibration: [place.text], samples: 4, context: 64, device: "cpu", score: false, range: { candidates: 6 } },
  affine: { norms: "matrix", epochs: 3, batch: 2, alpha: 1 },
  ...more,
});

let whole: readonly QuantizeEvent[];
beforeAll(async () => {
  place = workplace(150);
  model = join(place.folder, "model");
  await writeCutModel(model, 2);
  whole = await quantized(given("whole"));
});
afterAll(() => place[Symbol.dispose]());

describe("a result with matrices behind its norms", () => {
  it("says in the plan that only crossblock computes it, and what is trained and stored", async () => {
    const plan = whole.find((event) => event.event === "plan") as PlanEvent;
    expect(plan.ownRuntime).toMatch(/^matrices behind norms, 256 x 256/);
    const diagonal = await quantized(given("planned", { affine: { epochs: 3, batch: 2 }, dryRun: true }));
    const folded = diagonal.find((event) => event.event === "plan") as PlanEvent;
    expect(folded.ownRuntime).toBeUndefined();
    expect(plan.trainedParameters - folded.trainedParameters).toBe(4 * 256 ** 2);
    const written = whole.find((event) => event.event === "exported");
    const bytes = written?.event === "exported" ? written.bytes : 0;
    // A header comes to what the plan counts.
    expect(plan.exports[0]?.bytes).toBeLessThanOrEqual(bytes);
    expect(plan.exports[0]?.bytes).toBeGreaterThan(0.99 * bytes);
    expect(written?.event === "exported" && written.notes.join(" ")).toContain("Matrices behind norms");
  });

  it("is inspected, evaluated, generated with and verified, and refused by other readers' own check", async () => {
    const path = join(place.folder, "whole");
    const { tensors } = await inspect(path);
    expect(tensors.filter(({ name }) => name.endsWith("norm.matrix")).length).toBe(4);
    const text = { text: place.text, context: 64, device: "cpu" } as const;
    const [exact, { value }] = [await evaluate(model, text), await evaluate(path, text)];
    expect(Math.abs(value / exact.value - 1)).toBeLessThan(0.1);
    await using opened = await loadModel(path, { device: "cpu" });
    let told = "";
    for await (const piece of opened.generate("The", { tokens: 4 })) told += piece;
    expect(told.length).toBeGreaterThan(0);
    const certified: boolean[] = [];
    for await (const event of verifyResult({ result: path, runtimes: false })) {
      if (event.event === "certified") certified.push(event.agrees);
    }
    expect(certified).toEqual([true]);
    const config = JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as {
      readonly quantization_config: { readonly format: string };
    };
    expect(config.quantization_config.format).toBe("crossblock-norm-matrices");
  });

  it("continues where it was stopped, to the same bytes", async () => {
    await stoppedAt("window-done", given("resumed"));
    await quantized(given("resumed"));
    expect(weightHashes(join(place.folder, "resumed"))).toEqual(weightHashes(join(place.folder, "whole")));
  });

  it("may be trained end to end", async () => {
    const events = await quantized(given("scales", { finish: "scales", endToEnd: { epochs: 1, batch: 2 } }));
    const done = events.flatMap((event) => (event.event === "window-done" ? [event] : [])).at(-1);
    expect(done?.lossAfter?.total).toBeLessThan(done?.lossBefore?.total ?? 0);
  });

  it.each(["gptq", "awq", "gguf", "onnx", "mlx"] as const)(
    "is refused by %s before work starts, and as an export",
    async (format) => {
      const message = /matrices stand behind them.*affine\.norms=diagonal/;
      const asked = { format: [format], dryRun: true, asym: format !== "gguf" };
      await expect(quantized(given(`refused-${format}`, asked))).rejects.toThrow(message);
      const exporting = async (): Promise<void> => {
        const out = join(place.folder, `export-${format}`);
        for await (const _ of exportResult({ result: join(place.folder, "whole"), format: [format], out }));
      };
      await expect(exporting()).rejects.toThrow(message);
    },
  );

  it("is refused where matrices would be diagonal, before work starts", async () => {
    const asked = given("none", { affine: { norms: "matrix", alpha: 0 } });
    await expect(quantized(asked)).rejects.toThrow(/alpha=0 keeps matrices diagonal.*Next: .*norms=diagonal/);
    await expect(quantized(given("none", { affine: { norms: "matrix", epochs: 0 } }))).rejects.toThrow(
      /affine\.norms.*affine\.epochs/,
    );
  });
});
