import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { exportResult } from "../../src/api/export-result.js";
import { evaluate } from "../../src/api/model.js";
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
let chat = "";

const template =
  "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

/** Questions whose answers nothing but the text teaches. */
function writeChat(path: string, roles = ["user", "assistant"]): void {
  const lines = Array.from({ length: 200 }, (_, i) => {
    const contents = [`What is due for the year ${1800 + i}?`, `The sum of ${3 * i + 11} dollars, and peace.`];
    return JSON.stringify({ messages: roles.map((role, at) => ({ role, content: contents[at] ?? "" })) });
  });
  writeFileSync(path, `${lines.join("\n")}\n`);
}

const given = (out: string, more: Partial<QuantizeOptions> = {}): QuantizeOptions => ({
  ...{ model, scheme: "W4A16g32", asym: true, recipe: "l4q", out: join(place.folder, out), calibration: [chat] },
  ...{ samples: 24, context: 64, device: "cpu", l4q: { epochs: 3, batch: 4, rate: 2e-3 } },
  ...{ score: false, range: { candidates: 8 }, gptq: { widths: [1] } },
  ...more,
});

const weights = (out: string): readonly string[] => weightHashes(join(place.folder, out));

const loss = (events: readonly QuantizeEvent[], of: "lossBefore" | "lossAfter"): number => {
  const done = events.flatMap((event) => (event.event === "window-done" ? [event] : []));
  return (of === "lossBefore" ? done[0] : done.at(-1))?.[of]?.total ?? Number.NaN;
};

let whole: readonly QuantizeEvent[];
beforeAll(async () => {
  place = workplace(150);
  model = join(place.folder, "model");
  chat = join(place.folder, "chat.jsonl");
  await writeCutModel(model, 2);
  const config = join(model, "tokenizer_config.json");
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, "utf8")), chat_template: template }));
  writeChat(chat);
  whole = await quantized(given("whole"));
});
afterAll(() => place[Symbol.dispose]());

describe("a network that is fine-tuned and quantized together", () => {
  it("is planned with an epoch for each window, and answers better than before", () => {
    const plan = whole.find((event) => event.event === "plan") as PlanEvent;
    expect(plan.windows).toEqual([0, 1, 2].map(() => [0, 1]));
    expect(plan.trainedParameters).toBeGreaterThan(0);
    expect(loss(whole, "lossAfter")).toBeLessThan(0.8 * loss(whole, "lossBefore"));
  });

  it("continues where it was stopped, to the same bytes", async () => {
    await stoppedAt("window-done", given("resumed"));
    await quantized(given("resumed"));
    expect(weights("resumed")).toEqual(weights("whole"));
  });

  it("is one integer model, which answers better than the one that it was made of, and is written in other formats", async () => {
    const path = join(place.folder, "whole");
    const of = async (folder: string): Promise<number> =>
      (await evaluate(folder, { text: chat, context: 64, device: "cpu" })).value;
    expect(await of(path)).toBeLessThan(0.8 * (await of(model)));
    const out = join(place.folder, "exports");
    for await (const _ of exportResult({ result: path, format: ["gptq", "gguf"], out }));
    const certified: boolean[] = [];
    for await (const event of verifyResult({ result: path, runtimes: false })) {
      if (event.event === "certified") certified.push(event.agrees);
    }
    expect(certified).toEqual([true]);
  });

  it("counts the tokens of answers, or all where it is asked to", async () => {
    const all = await quantized(given("all", { l4q: { loss: "all", epochs: 1, batch: 4, rate: 2e-3 } }));
    expect(loss(all, "lossBefore")).not.toBeCloseTo(loss(whole, "lossBefore"), 1);
    const unanswered = join(place.folder, "questions.jsonl");
    writeChat(unanswered, ["user"]);
    await expect(quantized(given("none", { calibration: [unanswered], samples: 8 }))).rejects.toThrow(
      /no token of the text is an answer.*--set l4q.loss=all/,
    );
    // Text that is no conversation counts whole.
    const plain = { calibration: [place.text], samples: 8, l4q: { epochs: 1, batch: 4 } } as const;
    expect(loss(await quantized(given("plain", plain)), "lossAfter")).toBeLessThan(10);
  });

  it("has the paper's preset: a covering range, rates in absolute numbers, and a symmetric grid without offsets", async () => {
    const events = await quantized(
      given("paper", { asym: false, preset: "paper", range: {}, gptq: {}, l4q: { epochs: 2, batch: 4, rate: 2e-3 } }),
    );
    expect(loss(events, "lossAfter")).toBeLessThan(loss(events, "lossBefore"));
  });

  it("refuses what it can't do before work starts", async () => {
    await expect(quantized(given("refused", { finish: "scales", dryRun: true }))).rejects.toThrow(/--finish scales/);
    const tensor = { scheme: "W4A8", activation: { granularity: "tensor" }, dryRun: true } as const;
    await expect(quantized(given("refused", tensor))).rejects.toThrow(/granularity=token/);
  });
});
