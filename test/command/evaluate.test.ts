import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Tokenizer } from "../../src/checkpoint/tokenizer/tokenizer.js";
import type { WorkEvent } from "../../src/index.js";
import { crossblockHere, eventsHere } from "../fixtures/in-process/cli-in-process.js";
import { library } from "../fixtures/in-process/library.js";
import { bundledModel, type Workplace, workplace } from "../fixtures/sample-text.js";

const { compareModels, evaluate, evaluateChoices, loadModel, quantize } = library;

const asked: readonly (readonly [context: string, choices: readonly string[]])[] = [
  ["Fellow-Citizens of the Senate and House of", ["Representatives", "whales and oil"]],
  ["The Congress of the United ", ["Kingdom", "States", "States of America"]],
  ["In the opinion of this House,", [" the", " the public credit", " — naïve"]],
  ["", ["The Congress", "Whale the of"]],
];

let place: Workplace;
let questions = "";
let result = "";
/** The choice with the largest log-likelihood of each question, by hand; and per byte. */
let best: number[] = [];
let bestNorm: number[] = [];

function write(name: string, lines: readonly object[]): string {
  const path = join(place.folder, name);
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}

beforeAll(async () => {
  place = workplace(60);
  const tokenizer = await Tokenizer.open(bundledModel);
  await using model = await loadModel(bundledModel);
  const [allValues, perByte]: [number[][], number[][]] = [[], []];
  for (const [context, choices] of asked) {
    const values: number[] = [];
    for (const choice of choices) {
      const trimmed = context.trimEnd();
      const joined = context === "" || choice.startsWith(" ") ? trimmed + choice : `${trimmed} ${choice}`;
      const start = [0, ...tokenizer.encode(trimmed)];
      const ids = [0, ...tokenizer.encode(joined)];
      const { data } = await model.logits([ids]);
      let sum = 0;
      for (let t = start.length; t < ids.length; t++) {
        const row = data.subarray((t - 1) * 4096, t * 4096);
        sum += (row[ids[t] ?? -1] ?? Number.NaN) - Math.log(row.reduce((all, logit) => all + Math.exp(logit), 0));
      }
      values.push(sum);
    }
    allValues.push(values);
    perByte.push(values.map((value, c) => value / Buffer.byteLength(choices[c] ?? "")));
  }
  const largest = (values: readonly number[]): number => values.indexOf(Math.max(...values));
  best = allValues.map(largest);
  bestNorm = perByte.map(largest);
  questions = write(
    "questions.jsonl",
    asked.map(([context, choices], q) => ({ context, choices, answer: best[q] })),
  );
  result = join(place.folder, "rtn");
  for await (const _ of quantize({
    model: bundledModel,
    scheme: "W3A16g64",
    recipe: "rtn",
    score: false,
    out: result,
  }));
});
afterAll(() => place[Symbol.dispose]());

describe("evaluateChoices", () => {
  it("answers by the log-likelihoods that the model's logits give", async () => {
    const events: WorkEvent[] = [];
    await using model = await loadModel(bundledModel);
    const outcome = await evaluateChoices(model, { choices: questions, onEvent: (event) => events.push(event) });
    const rightNorm = bestNorm.filter((choice, q) => choice === best[q]).length;
    expect(outcome).toMatchObject({ event: "choices", accuracy: 1, stderr: 0, questions: 4 });
    expect(outcome.accuracyNorm).toBe(rightNorm / 4);
    // "States" and "States of America" differ in length only; otherwise this compares nothing.
    expect(rightNorm).toBeLessThan(4);
    expect(events.at(-1)).toMatchObject({ event: "progress", stage: "scoring choices", done: 10, total: 10 });
    const norm = asked.map(([context, choices], q) => ({ context, choices, answer: bestNorm[q] }));
    expect(await model.choices({ choices: write("norm.jsonl", norm) })).toMatchObject({ accuracyNorm: 1 });
    const wrong = asked.map(([question, choices], q) => ({ question, choices, label: best[q] === 0 ? "B" : "A" }));
    expect(await model.choices({ choices: write("wrong.jsonl", wrong) })).toMatchObject({ accuracy: 0 });
    expect(await model.choices({ choices: questions, limit: 1 })).toMatchObject({ questions: 1, stderr: null });
    await expect(model.choices({ choices: questions, limit: 0 })).rejects.toThrow(/limit: 0.*Next: /);
  });

  it("warns of contexts that had to be cut, and refuses choices longer than the model's context", async () => {
    const context = "The Congress of the United States. ".repeat(300);
    const long = write("long.jsonl", [{ context, choices: ["We", "They"], answer: 0 }]);
    const events: WorkEvent[] = [];
    const outcome = await evaluateChoices(bundledModel, { choices: long, onEvent: (event) => events.push(event) });
    expect(outcome.questions).toBe(1);
    expect(events.filter(({ event }) => event === "warning")).toMatchObject([
      { message: /^1 of 1 questions/, where: long },
    ]);
    const tooLong = write("too-long.jsonl", [{ context: "a", choices: ["b", context], answer: 0 }]);
    await expect(evaluateChoices(bundledModel, { choices: tooLong })).rejects.toThrow(
      /too-long\.jsonl:1: choice 1 has \d+ tokens.*Next: /,
    );
  });
});

describe("compareModels", () => {
  it("finds no difference between a model and itself, and one between it and three bits of it", async () => {
    const options = { reference: bundledModel, text: place.text, context: 64 };
    const same = await compareModels(bundledModel, options);
    expect(same).toMatchObject({
      event: "reference",
      reference: bundledModel,
      context: 64,
      divergence: { mean: 0, max: 0 },
      topAgreement: 1,
      perplexityRatio: 1,
    });
    const rounded = await compareModels(result, options);
    const { mean, median, p95, p99, max } = rounded.divergence;
    expect(mean).toBeGreaterThan(0.001);
    expect(mean).toBeLessThan(1);
    expect([median, p95, p99, max]).toEqual([median, p95, p99, max].sort((a, b) => a - b));
    expect(rounded.topAgreement).toBeLessThan(1);
    expect(rounded.topAgreement).toBeGreaterThan(0.5);
    const plain = await evaluate(result, { text: place.text, context: 64 });
    expect(rounded.perplexity / plain.value).toBeCloseTo(1, 5);
    expect(rounded.tokens).toBe(plain.tokens);
    expect(rounded.referencePerplexity).toBe(same.perplexity);
  });

  it("refuses a reference with other tokens", async () => {
    const other = join(place.folder, "other");
    cpSync(bundledModel, other, { recursive: true });
    const tokenizer = join(other, "tokenizer.json");
    writeFileSync(tokenizer, readFileSync(tokenizer, "utf8").replace('"Ġthe"', '"Ġteh"'));
    const run = compareModels(bundledModel, { reference: other, text: place.text, context: 64 });
    await expect(run).rejects.toThrow(/different tokens.*"Ġthe" and "Ġteh".*Next: /);
  });
});

describe("crossblock eval", () => {
  it("--choices ends with the choices line", async () => {
    const { code, events, stderr } = await eventsHere(["eval", result, "--choices", questions, "--limit", "3"]);
    expect(code, stderr).toBe(0);
    const keys = ["event", "accuracy", "stderr", "accuracyNorm", "stderrNorm", "questions", "time"];
    expect(Object.keys(events.at(-1) ?? {})).toEqual(keys);
    expect(events.at(-1)).toMatchObject({ event: "choices", questions: 3 });
  });

  it("--reference puts its line before the perplexity, which stays the last; --choices comes before both", async () => {
    const text = ["--text", place.text, "--context", "64", "--reference", bundledModel];
    const { code, events, stderr } = await eventsHere(["eval", result, ...text, "--choices", questions]);
    expect(code, stderr).toBe(0);
    const results = events.filter(({ event }) => event !== "progress");
    expect(results.map(({ event }) => event)).toEqual(["choices", "reference", "perplexity"]);
    const [, reference, perplexity] = results;
    expect(Object.keys(perplexity ?? {})).toEqual([
      "event",
      "value",
      "tokens",
      "context",
      "sequences",
      "ofSequences",
      "time",
    ]);
    expect(perplexity).toMatchObject({
      event: "perplexity",
      value: reference?.["perplexity"],
      tokens: reference?.["tokens"],
      context: 64,
      sequences: reference?.["sequences"],
      ofSequences: reference?.["sequences"],
    });
  });

  it("--limit takes the first sequences of a text, and says that other figures don't compare", async () => {
    const whole = await evaluate(bundledModel, { text: place.text, context: 64 });
    const first = await evaluate(bundledModel, { text: place.text, context: 64, limit: 2 });
    expect(first).toMatchObject({ tokens: 2 * 63, sequences: 2, ofSequences: whole.sequences });
    expect(whole.ofSequences).toBe(whole.sequences);
    expect(first.value).not.toBe(whole.value);
    const args = ["eval", bundledModel, "--text", place.text, "--context", "64", "--limit"];
    const { code, stdout } = await crossblockHere([...args, "2"]);
    const part = `the first 2 of the text's ${whole.sequences} sequences, a part that other figures don't compare to`;
    expect([code, stdout]).toEqual([0, `perplexity ${first.value.toFixed(3)} over 126 tokens, context 64; ${part}\n`]);
    const all = await crossblockHere([...args, "100000"]);
    expect(all.stdout).toMatch(/context 64\n$/);
    const compared = await compareModels(bundledModel, {
      reference: result,
      text: place.text,
      context: 64,
      limit: 2,
    });
    expect([compared.sequences, compared.perplexity]).toEqual([2, expect.closeTo(first.value, 4)]);
    await expect(evaluate(bundledModel, { text: place.text, limit: 0 })).rejects.toThrow(/limit: 0 .*Next: give 1/);
  });

  it.each<[name: string, args: () => readonly string[], message: RegExp]>([
    ["nothing to evaluate on", () => [], /nothing to evaluate on.*--text.*--choices/s],
    ["--reference without text", () => ["--choices", questions, "--reference", bundledModel], /--reference.*--text/s],
    ["--context without text", () => ["--choices", questions, "--context", "64"], /--context.*--text/s],
    [
      "--limit for a text and questions",
      () => ["--text", place.text, "--choices", questions, "--limit", "3"],
      /--limit.*next: run eval twice/s,
    ],
    ["--delimiter without questions", () => ["--text", place.text, "--delimiter", ""], /--delimiter.*--choices/s],
    ["a file that is not there", () => ["--choices", "/none.jsonl"], /none\.jsonl.*check the path/s],
    [
      "a line that is no question",
      () => ["--choices", write("bad.jsonl", [{ context: "a", choices: ["b", "c"], answer: 2 }])],
      /bad\.jsonl:1.*none of the 2 choices/s,
    ],
    [
      "a reference that is not there",
      () => ["--text", place.text, "--context", "64", "--reference", join(place.folder, "none")],
      /none/,
    ],
  ])("refuses %s", async (_name, args, message) => {
    const { code, events, stderr } = await eventsHere(["eval", bundledModel, ...args()]);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/next: /);
    expect(code).toBe(2);
    expect(events.at(-1)).toMatchObject({ event: "error", exitCode: 2 });
  });
});
