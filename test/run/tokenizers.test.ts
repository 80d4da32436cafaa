import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GgufFile } from "../../src/format/gguf/read.js";
import type { Certificate, QuantizeEvent } from "../../src/index.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { crossblockHere } from "../fixtures/in-process/cli-in-process.js";
import { library } from "../fixtures/in-process/library.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";
import { llamaCppProject } from "../format/judge/llama-cpp-package.js";

const { evaluate, quantize } = library;

const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
let place: Workplace;

beforeAll(() => {
  place = workplace(60);
});

afterAll(() => place[Symbol.dispose]());

/** Two blocks of the bundled model, whose `tokenizer.json` is changed. */
async function model(name: string, change: (tokenizer: { added_tokens: object[] }) => object): Promise<string> {
  const folder = join(place.folder, name);
  await writeCutModel(folder, 2);
  const file = join(folder, "tokenizer.json");
  writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(file, "utf8")) as { added_tokens: object[] })));
  return folder;
}

async function quantized(
  folder: string,
  recipe: "rtn" | "gptq",
): Promise<{ out: string; events: readonly QuantizeEvent[] }> {
  const out = `${folder}-w4`;
  const events: QuantizeEvent[] = [];
  const text = recipe === "rtn" ? {} : { samples: 4, context: 64, calibration: [place.text] };
  const options = { scheme: "W4A16g32" as const, recipe, score: false, ...text };
  for await (const event of quantize({ model: folder, out, format: ["gguf"], ...options })) events.push(event);
  return { out, events };
}

function ggufOf(out: string): string {
  const [name = ""] = readdirSync(join(out, "gguf")).filter((each) => each.endsWith(".gguf"));
  return join(out, "gguf", name);
}

describe("a token for which the model has no row", () => {
  it("is warned of, left out of GGUF, and refused in a text", async () => {
    const folder = await model("pad", (tokenizer) => ({
      ...tokenizer,
      added_tokens: [...tokenizer.added_tokens, { ...plain, id: 4096, content: "[PAD]" }],
    }));
    const { out, events } = await quantized(folder, "gptq");
    const warnings = events.flatMap((event) => (event.event === "warning" ? [event.message] : []));
    expect(warnings).toContainEqual(expect.stringContaining('none for the token "[PAD]" (id 4096)'));
    const exported = events.flatMap((event) => (event.event === "exported" ? event.notes : []));
    expect(exported).toContain('The added token "[PAD]" is left out: the embedding has no row for it.');
    using file = GgufFile.open(ggufOf(out));
    const tokens = file.metadata.get("tokenizer.ggml.tokens");
    expect(tokens?.type === "array" && tokens.values.length).toBe(4096);
    expect(tokens?.type === "array" && tokens.values.includes("[PAD]")).toBe(false);
    const held = join(place.folder, "held.txt");
    writeFileSync(held, "The Congress of the United States [PAD] met.");
    await expect(evaluate(out, { text: held })).rejects.toThrow(
      /a text holds the token "\[PAD\]" \(id 4096\), for which the model has no row.*Next: take the token out/,
    );
  });
});

describe("verify compares token ids", () => {
  const project = llamaCppProject();
  it.skipIf(project === null)(
    `and shows the text and both lists${project === null ? " (skipped: node-llama-cpp is not installed)" : ""}`,
    async () => {
      const folder = await model("word", (tokenizer) => ({
        ...tokenizer,
        added_tokens: [
          ...tokenizer.added_tokens,
          // A word that the vocabulary has: then it needs no row of its own.
          { ...plain, id: wordId(tokenizer), content: "the", special: false, single_word: true },
        ],
      }));
      const { out, events } = await quantized(folder, "rtn");
      const note = 'The added token "the" is a whole word in the tokenizer; llama.cpp finds it inside words as well.';
      expect(events.flatMap((event) => (event.event === "exported" ? event.notes : []))).toContain(note);
      expect(readFileSync(ggufOf(out)).includes(note)).toBe(true);
      const run = await crossblockHere(["verify", out], project ?? ".");
      expect(run.code, run.stderr).toBe(1);
      expect(run.stdout).toMatch(
        /tokenizer: node-llama-cpp \S+ cuts "[^"]*the[^"]*" into \[[\d ]+\] instead of \[[\d ]+\]/,
      );
      const { exports } = JSON.parse(readFileSync(join(out, "certificate.json"), "utf8")) as Certificate;
      const [, gguf] = exports;
      expect(gguf?.notes).toContain(note);
      if (gguf === undefined || !("texts" in gguf.runtime)) throw new Error(run.stdout);
      expect(gguf.runtime.texts?.compared).toBeGreaterThan(25);
      expect(gguf.runtime.texts?.different).toBeGreaterThan(0);
      expect(existsSync(join(out, "certificate.md"))).toBe(true);
    },
  );
});

function wordId(tokenizer: object): number {
  const { model } = tokenizer as { readonly model: { readonly vocab: Readonly<Record<string, number>> } };
  return model.vocab["the"] ?? -1;
}
