// What a run without --calibration should calibrate on: text that the model makes up, in several ways, the bundled text, and half of
// each, beside text of the domain. Two steps, because a GPU machine may have no tokenizer and no texts:
//   node bench/default-text.mjs prepare --model DIR --valid valid.txt --test test.txt --tokens DIR
//     writes ids (int32) of the bundled, the validation and the test text, and what generation needs to know of the tokenizer
//   node bench/default-text.mjs run --model DIR --tokens DIR [--candidates self,bundled] [--schemes W2A16g64a,W3A16g64]
//     [--recipes gptq,cbq] [--samples 128] [--context 1024] [--epochs 10] [--finish 4] [--seeds 0] [--jobs 1] [--device cuda:0]
//     [--eval-context 2048] [--eval-tokens N] [--blocks N] [--json FILE]
//     makes text up where a candidate needs it and DIR has none of it yet, then prints a line for each cell
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string" },
    tokens: { type: "string" },
    valid: { type: "string" },
    test: { type: "string" },
    candidates: { type: "string" },
    schemes: { type: "string", default: "W2A16g64a,W3A16g64,W4A4" },
    recipes: { type: "string", default: "gptq" },
    samples: { type: "string", default: "128" },
    context: { type: "string", default: "1024" },
    epochs: { type: "string", default: "10" },
    finish: { type: "string", default: "4" },
    seeds: { type: "string", default: "0" },
    jobs: { type: "string", default: "1" },
    device: { type: "string", default: "cpu" },
    "eval-context": { type: "string", default: "2048" },
    "eval-tokens": { type: "string" },
    // Quantizes the first blocks only, where there is no time for all.
    blocks: { type: "string" },
    json: { type: "string" },
  },
});
const { model, tokens } = values;
if (model === undefined || tokens === undefined) throw new Error("--model and --tokens name folders");
const number = (name) => Number(values[name]);
const [samples, context] = [number("samples"), number("context")];

/** How a candidate's text is made up: what begins a sequence, and how tokens are drawn. */
const generated = {
  // As documents of the training data begin; everything else is drawn.
  self: {},
  // A random first word behind it, as Norm Tweaking has it; and its four likeliest tokens.
  "self-first": { first: true },
  "self-first-greedy": { first: true, greedy: 4 },
  // As before 2026-11-29: behind the instruct model's own start token.
  "self-turn-first-greedy": { turn: true, first: true, greedy: 4 },
  "self-turn": { turn: true },
  "self-0.9": { temperature: 0.9 },
  "self-1.1": { temperature: 1.1 },
};
/** Read or mixed. */
const others = ["wikitext", "bundled", "mix"];
const idsAt = (path) => new Int32Array(new Uint8Array(readFileSync(path)).buffer);
const write = (path, ids) => writeFileSync(path, new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));

async function prepare() {
  const { Tokenizer } = await import("../dist/checkpoint/tokenizer/tokenizer.js");
  const { readDocuments } = await import("../dist/calibration/text/documents.js");
  const { tokenizeDocuments } = await import("../dist/calibration/token-stream.js");
  const { bundledDocuments } = await import("../dist/calibration/bundled/bundled-text.js");
  const { documentBounds } = await import("../dist/calibration/self-generated/document-bounds.js");
  const { firstTokens } = await import("../dist/calibration/self-generated/first-tokens.js");
  const tokenizer = await Tokenizer.open(model);
  mkdirSync(tokens, { recursive: true });
  const bundled = bundledDocuments(tokenizer, { characters: Number.POSITIVE_INFINITY, seed: 0 });
  write(join(tokens, "bundled.ids"), (await tokenizeDocuments(bundled, tokenizer)).ids);
  for (const [name, path] of [
    ["wikitext", values.valid],
    ["test", values.test],
  ]) {
    if (path !== undefined)
      write(join(tokens, `${name}.ids`), (await tokenizeDocuments(readDocuments([path], tokenizer), tokenizer)).ids);
  }
  const { start, ends } = documentBounds(tokenizer);
  const { startToken, idLimit } = tokenizer;
  const facts = { start, ends: [...ends], startToken, idLimit, firstTokens: [...firstTokens(tokenizer, ["Latin"])] };
  writeFileSync(join(tokens, "facts.json"), JSON.stringify(facts));
  console.log(`start ${start}, ends ${[...ends]}, the tokenizer's start token ${startToken}; ids in ${tokens}`);
}

async function makeUp(names, seed) {
  const missing = names.filter((name) => !existsSync(generatedPath(name, seed)));
  if (missing.length === 0) return;
  const { Checkpoint } = await import("../dist/checkpoint/checkpoint.js");
  const { readModelConfig } = await import("../dist/checkpoint/model-config.js");
  const { checkpointSource, Decoder, readSpec } = await import("../dist/network/index.js");
  const { DecoderSampler } = await import("../dist/evaluate/decoder-sampler.js");
  const { generateSequences } = await import("../dist/calibration/self-generated/generate-sequences.js");
  const { setThreads } = await import("../dist/tensor/index.js");
  setThreads(availableParallelism());
  const facts = JSON.parse(readFileSync(join(tokens, "facts.json"), "utf8"));
  const dtype = values.device === "cpu" ? "float32" : "bfloat16";
  const source = checkpointSource(await Checkpoint.open(model), { device: values.device, dtype });
  const decoder = Decoder.load(source, readSpec(await readModelConfig(model)));
  const sampler = new DecoderSampler(decoder, facts.idLimit);
  for (const name of missing) {
    const { first = false, greedy = 0, turn = false, temperature = 1 } = generated[name];
    const started = performance.now();
    const ids = new Int32Array(samples * context);
    for (let at = 0; at < samples; at += 64) {
      const rows = Array.from({ length: Math.min(64, samples - at) }, (_, i) => at + i);
      const part = generateSequences(sampler, rows, {
        ...{ context, seed, temperature, greedy },
        firstTokens: first ? Int32Array.from(facts.firstTokens) : null,
        startToken: turn ? facts.startToken : facts.start,
        endTokens: new Set(facts.ends),
      });
      ids.set(part, at * context);
    }
    write(generatedPath(name, seed), ids);
    console.log(
      `${name}, seed ${seed}: ${ids.length} tokens in ${((performance.now() - started) / 1000).toFixed(1)} s`,
    );
  }
  decoder.dispose();
}

function generatedPath(name, seed) {
  return join(tokens, `${name}-${samples}x${context}-${seed}.ids`);
}

/** The folder with the tokens of one cell, as accuracy-run.mjs wants it; exactly as many as it takes. */
async function folderOf(name, seed) {
  const { sampleSequences } = await import("../dist/calibration/token-sequences.js");
  const folder = join(tokens, `cell-${name}-${samples}x${context}-${seed}`);
  mkdirSync(folder, { recursive: true });
  const drawn = (stream) => sampleSequences(idsAt(join(tokens, `${stream}.ids`)), { samples, context, seed }).ids;
  const row = (ids, i) => ids.subarray(i * context, (i + 1) * context);
  if (name in generated) write(join(folder, "train.bin"), idsAt(generatedPath(name, seed)));
  else if (name === "mix") {
    const [made, read] = [idsAt(generatedPath("self", seed)), drawn("bundled")];
    const ids = new Int32Array(samples * context);
    for (let i = 0; i < samples; i++) ids.set(row(i % 2 === 0 ? made : read, i >> 1), i * context);
    write(join(folder, "train.bin"), ids);
  } else write(join(folder, "train.bin"), drawn(name));
  const test = idsAt(join(tokens, "test.ids"));
  const evaluated = Number(values["eval-tokens"] ?? test.length);
  write(join(folder, "test.bin"), test.slice(0, evaluated));
  return folder;
}

async function run() {
  const names = values.candidates?.split(",") ?? [...others, ...Object.keys(generated)];
  const unknown = names.find((name) => !(name in generated) && !others.includes(name));
  if (unknown !== undefined)
    throw new Error(`--candidates: "${unknown}" is none of ${[...others, ...Object.keys(generated)].join(", ")}`);
  const seeds = values.seeds.split(",").map(Number);
  const needed = names.map((name) => (name === "mix" ? "self" : name)).filter((name) => name in generated);
  for (const seed of seeds) await makeUp([...new Set(needed)], seed);
  const cells = [];
  for (const recipe of values.recipes.split(","))
    for (const scheme of values.schemes.split(","))
      for (const seed of seeds) for (const name of names) cells.push({ recipe, scheme, seed, name });
  const jobs = number("jobs");
  const layers = JSON.parse(readFileSync(join(model, "config.json"), "utf8")).num_hidden_layers;
  const left = Array.from({ length: layers - Number(values.blocks ?? layers) }, (_, i) => layers - 1 - i);
  const overrides = { overrides: left.map((i) => ({ pattern: `*layers.${i}.*`, skip: true })) };
  const results = [];
  const queue = [...cells];
  const worker = async () => {
    for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
      const { recipe, scheme, seed, name } = cell;
      const finish =
        number("finish") > 0 ? { finish: "scales", endToEnd: { epochs: number("finish") } } : { finish: "none" };
      const job = {
        ...{ model, recipe, seed, samples, context, name, evalContext: number("eval-context"), device: values.device },
        tokens: await folderOf(name, seed),
        scheme: scheme.replace(/a$/, ""),
        asym: scheme.endsWith("a"),
        dtype: values.device === "cpu" ? "float32" : "bfloat16",
        threads: Math.max(1, Math.floor(availableParallelism() / jobs)),
        set: { ...overrides, ...(recipe === "cbq" && { window: { epochs: number("epochs") }, ...finish }) },
      };
      const { stdout } = await promisify(execFile)(process.execPath, ["bench/accuracy-run.mjs", JSON.stringify(job)], {
        maxBuffer: 2 ** 24,
      });
      const { ppl, seconds } = JSON.parse(stdout.trim().split("\n").at(-1));
      results.push({ ...cell, samples, context, perplexity: ppl, seconds });
      console.log(`${recipe} ${scheme} seed ${seed} ${name}: ${ppl} (${seconds} s)`);
      if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(results, null, 1));
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  const rows = [...new Set(cells.map(({ recipe, scheme, seed }) => `${recipe} ${scheme} seed ${seed}`))];
  console.log(`\n| | ${names.join(" | ")} |\n|---|${names.map(() => "---").join("|")}|`);
  for (const row of rows) {
    const of = (name) => results.find((r) => r.name === name && `${r.recipe} ${r.scheme} seed ${r.seed}` === row);
    console.log(`| ${row} | ${names.map((name) => of(name)?.perplexity ?? "").join(" | ")} |`);
  }
}

const [command] = positionals;
if (command === "prepare") await prepare();
else if (command === "run") await run();
else throw new Error("the first argument is prepare or run");
