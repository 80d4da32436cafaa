import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { library } from "../fixtures/in-process/library.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";

const { quantize, evaluate, verifyResult } = library;

// At 8 bits rounding costs next to nothing, so what differs would be the rotation's fault.
describe("a rotated result", () => {
  let place: Workplace;
  let model = "";
  let out = "";
  beforeAll(async () => {
    place = workplace(100);
    model = join(place.folder, "model");
    await writeCutModel(model, 2);
    out = join(place.folder, "rotated");
    const options = {
      model,
      score: false,
      scheme: "W8A16g64",
      recipe: "rtn",
      rotation: "hadamard",
      out,
    } as const;
    for await (const _event of quantize({ ...options, format: ["gguf", "gptq", "onnx"] })) {
      // Only the files count.
    }
  });
  afterAll(() => place[Symbol.dispose]());

  it("is the same network in other numbers, with a head of its own", async () => {
    using source = await Checkpoint.open(model);
    using written = await Checkpoint.open(out);
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8")) as Record<string, unknown>;
    expect(config["tie_word_embeddings"]).toBe(false);
    expect(written.tensors.get("lm_head.weight")?.shape).toEqual(
      source.tensors.get("model.embed_tokens.weight")?.shape,
    );
    expect(await written.read("model.embed_tokens.weight")).not.toEqual(await source.read("model.embed_tokens.weight"));
    const [full, rotated] = await Promise.all(
      [model, out].map((path) => evaluate(path, { text: place.text, context: 64 })),
    );
    expect(Math.abs((rotated?.value ?? Number.NaN) / (full?.value ?? 1) - 1)).toBeLessThan(2e-3);
  });

  it("has a certificate that agrees in every format", async () => {
    const certified = [];
    for await (const event of verifyResult({ result: out, runtimes: false })) certified.push(event);
    expect(certified.filter(({ event }) => event === "disagreement")).toEqual([]);
    expect(certified.find(({ event }) => event === "certified")).toMatchObject({ agrees: true });
  });
});
