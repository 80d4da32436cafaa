import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { heldOutSequences } from "../../src/calibration/held-out-sequences.js";
import { readDocuments } from "../../src/calibration/text/documents.js";
import { tokenizeDocuments } from "../../src/calibration/token-stream.js";
import { Tokenizer } from "../../src/checkpoint/tokenizer/tokenizer.js";
import { compareModels, type ModelComparison } from "../../src/evaluate/compare-models.js";
import type { QuantizeEvent, QuantizeOptions } from "../../src/index.js";
import { openModel } from "../../src/run/source/open-model.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { library } from "../fixtures/in-process/library.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";

const { quantize } = library;
const size = { samples: 6, context: 128, seed: 3 } as const;
const context = { emit: () => {}, poll: () => {}, signal: new AbortController().signal };

describe("what a run scores", () => {
  let place: Workplace;
  let model = "";
  let text: Parameters<typeof compareModels>[2];

  beforeAll(async () => {
    place = workplace(600);
    model = join(place.folder, "model");
    await writeCutModel(model, 2);
    const tokenizer = await Tokenizer.open(model, 4096);
    const { ids } = await tokenizeDocuments(readDocuments([place.text], tokenizer, { wantedBytes: 1e9 }), tokenizer);
    const held = heldOutSequences(ids, size, { sequences: 4, context: 512 });
    if (held === null) throw new Error("the text is too short");
    text = held;
  });
  afterAll(() => place[Symbol.dispose]());

  const at = (name: string): string => join(place.folder, name);

  async function run(name: string, options: Partial<QuantizeOptions>): Promise<QuantizeEvent[]> {
    const events: QuantizeEvent[] = [];
    const common = {
      model,
      scheme: "W3A16g64",
      calibration: [place.text],
      out: at(name),
      compute: { dtype: "float32" },
      range: { candidates: 6 },
    };
    for await (const event of quantize({ ...common, ...size, ...options } as QuantizeOptions)) events.push(event);
    return events;
  }

  const record = (name: string) => JSON.parse(readFileSync(join(at(name), "crossblock.json"), "utf8"));

  async function compared(name: string): Promise<ModelComparison> {
    const to = { device: "cpu", dtype: "float32" } as const;
    using ours = await openModel(at(name), to, context);
    using source = await openModel(model, to, context);
    return compareModels(ours.decoder, source.decoder, text);
  }

  it("is what the written files are worth on the same held-out text, beside round to nearest", async () => {
    const events = await run("cbq", {
      ...{ finish: "scales", window: { epochs: 1 }, endToEnd: { epochs: 1 }, rounding: { start: "rtn" } },
    });
    const found = events.find(({ event }) => event === "quality");
    const [own, nearest] = [await compared("cbq"), await run("rtn", { recipe: "rtn" }).then(() => compared("rtn"))];
    if (found?.event !== "quality") throw new Error("nothing was scored");
    expect(found).toMatchObject({ tokens: text.sequences * (text.context - 1), context: text.context });
    expect(found.perplexity.source).toBeCloseTo(own.referencePerplexity, 2);
    expect(found.perplexity.result / own.perplexity).toBeCloseTo(1, 4);
    expect(found.divergence / own.divergence.mean).toBeCloseTo(1, 3);
    expect((found.perplexity.roundToNearest ?? 0) / nearest.perplexity).toBeCloseTo(1, 4);
    expect((found.roundToNearestDivergence ?? 0) / nearest.divergence.mean).toBeCloseTo(1, 3);
    const { event: _, time: __, ...quality } = found as typeof found & { readonly time: string };
    expect(record("cbq")).toMatchObject({ quality, qualityMissing: null });
    expect(record("rtn").quality.perplexity.roundToNearest).toBe(record("rtn").quality.perplexity.result);
    // Errors of Linears, which round to nearest has where text is given.
    expect(record("rtn").windows[0].layers.length).toBe(7);
    expect(record("rtn").linears.every(({ errorOf }: { readonly errorOf: string }) => errorOf === "output")).toBe(true);
  });

  it("is of a rotated model with quantized inputs, too", async () => {
    const events = await run("w4a4", { recipe: "gptq", scheme: "W4A4", rotation: "hadamard" });
    const own = await compared("w4a4");
    const found = events.find(({ event }) => event === "quality");
    if (found?.event !== "quality") throw new Error("nothing was scored");
    expect(found.perplexity.source / own.referencePerplexity).toBeCloseTo(1, 4);
    expect(found.perplexity.result / own.perplexity).toBeCloseTo(1, 2);
    await run("w4a4-rtn", { recipe: "rtn", scheme: "W4A4", rotation: "none", score: false });
    const nearest = await compared("w4a4-rtn");
    expect((found.perplexity.roundToNearest ?? 0) / nearest.perplexity).toBeCloseTo(1, 2);
    expect(record("w4a4").samplesMissing).toMatch(/inputs are quantized/);
  });

  it("is left out with a reason: on request, without text, where all of it is calibrated on", async () => {
    await run("left-out", { recipe: "rtn", score: false, report: false });
    expect(record("left-out")).toMatchObject({ quality: null, qualityMissing: "it was left out (--no-score)" });
    expect(existsSync(join(at("left-out"), "report.html"))).toBe(false);
    for await (const _ of quantize({ model, recipe: "rtn", scheme: "W3A16g64", out: at("no-text") }));
    expect(record("no-text")).toMatchObject({ quality: null, qualityMissing: "no text was given" });
    writeFileSync(at("short.txt"), "one two three four five six seven eight nine ten ".repeat(20));
    await run("all", { recipe: "rtn", calibration: [at("short.txt")], samples: 1, context: 128 });
    const { quality, qualityMissing } = record("all");
    expect(quality === null ? qualityMissing : quality.context).toSatisfy(
      (x: unknown) => typeof x === "string" || Number(x) < 512,
    );
  });

  it("changes no code, and source, result and round to nearest write behind the same prompts", async () => {
    await run("with", { recipe: "gptq" });
    await run("without", { recipe: "gptq", score: false });
    expect(record("with").fingerprints).toEqual(record("without").fingerprints);
    const { samples } = record("with");
    expect(samples.length).toBe(2);
    for (const { source, result, roundToNearest } of samples) {
      expect([source, result, roundToNearest].every((written) => written.length > 0)).toBe(true);
    }
    const page = readFileSync(join(at("with"), "report.html"), "utf8");
    expect(page).toContain("W3A16g64");
  });
});
