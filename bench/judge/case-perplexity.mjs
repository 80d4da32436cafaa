// Perplexities of a model's exports by other people's readers, beside our own, on the same token windows.
// usage: node bench/judge/case-perplexity.mjs --text FILE --out FOLDER [--scheme W4A16g32] [--recipe rtn] [--flags="--asym ..."]
//          [--formats compressed-tensors,gptq,gguf,onnx] [--context 128] [--python python3] [--gptq-python python3]
//          [--llama-cpp PROJECT] [--most 0.01] [NAME=]MODEL[,RESULT] ...
// Quantizes each model and writes all formats; of a RESULT, a folder that `crossblock quantize` wrote of that model, it writes the
// formats alone, into FOLDER: so what takes a GPU to make is judged without one. --flags are further ones of `quantize`. Ids come
// from our tokenizer, so that the readers differ in the network alone. transformers reads the source and the result, GPTQModel the
// GPTQ folder, llama.cpp the GGUF file and onnxruntime the ONNX graph (at its default, which rounds activations, and at
// accuracy_level 0). In parentheses stands how far the loss of a token is from ours; where a reader stops, its message stands in its
// place. Exit code 1 when one stops or differs by more than --most. FOLDER/NAME must not be there yet: it may be the model.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { readDocuments } from "../../dist/calibration/text/documents.js";
import { evaluationSequences } from "../../dist/calibration/token-sequences.js";
import { tokenizeDocuments } from "../../dist/calibration/token-stream.js";
import { Tokenizer } from "../../dist/checkpoint/tokenizer/tokenizer.js";
import { evaluate, loadModel } from "../../dist/index.js";
import { findPackage } from "../../dist/run/verify/runtime/find-package.js";
import { openLlamaCpp } from "../../dist/run/verify/runtime/llama-cpp.js";
import { LLAMA_CPP_PROJECT } from "../../scripts/fetch/fetch-llama-cpp.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    text: { type: "string" },
    out: { type: "string" },
    scheme: { type: "string", default: "W4A16g32" },
    recipe: { type: "string", default: "rtn" },
    flags: { type: "string", default: "" },
    formats: { type: "string", default: "compressed-tensors,gptq,gguf,onnx" },
    context: { type: "string", default: "128" },
    python: { type: "string", default: process.env.CROSSBLOCK_JUDGE_PYTHON ?? "python3" },
    "gptq-python": { type: "string" },
    "llama-cpp": { type: "string", default: LLAMA_CPP_PROJECT },
    most: { type: "string", default: "0.01" },
  },
});
if (values.text === undefined || values.out === undefined || positionals.length === 0) {
  throw new Error("usage: case-perplexity.mjs --text FILE --out FOLDER [options] [NAME=]MODEL[,RESULT] ...");
}
const { text, scheme, recipe, python } = values;
const formats = new Set(values.formats.split(","));
const written = ["gguf", "onnx", "gptq"].filter((format) => formats.has(format));
const gptqPython = values["gptq-python"] ?? python;
const [out, context, most] = [resolve(values.out), Number(values.context), Number(values.most)];
const here = dirname(fileURLToPath(import.meta.url));
const crossblock = join(here, "..", "..", "dist", "cli", "main.js");
const run = promisify(execFile);
const llamaCpp = findPackage("node-llama-cpp", values["llama-cpp"]);
if (llamaCpp === null) throw new Error("no node-llama-cpp; node scripts/fetch/fetch-llama-cpp.mjs fetches it");
const { getLlama } = await import(llamaCpp.entry);

/** Cross-entropy of tokens 2..n of a window, from logits `[tokens, vocabulary]`. */
function losses(logits, window) {
  const vocabulary = logits.length / window.length;
  return window.slice(1).map((token, i) => {
    const row = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
    let top = Number.NEGATIVE_INFINITY;
    for (const value of row) top = Math.max(top, value);
    let sum = 0;
    for (const value of row) sum += Math.exp(value - top);
    return top + Math.log(sum) - row[token];
  });
}

function perplexityOf(losses) {
  return Math.exp(losses.reduce((sum, loss) => sum + loss, 0) / losses.length);
}

async function tokenWindows(model, vocabulary) {
  const tokenizer = await Tokenizer.open(model, vocabulary);
  const { ids } = await tokenizeDocuments(readDocuments([text], tokenizer), tokenizer, {});
  const windows = evaluationSequences(ids, context, tokenizer.sequenceStart);
  return Array.from({ length: windows.sequences }, (_, i) => [...windows.ids.subarray(i * context, (i + 1) * context)]);
}

async function ownLosses(folder) {
  const model = await loadModel(folder, { device: "cpu", dtype: "float32" });
  try {
    const windows = await tokenWindows(folder, model.vocabSize);
    const found = [];
    for (const window of windows) found.push(...losses((await model.logits([window])).data, window));
    return { windows, losses: found, vocabulary: model.vocabSize };
  } finally {
    await model[Symbol.asyncDispose]();
  }
}

async function llamaCppLosses(file, windows, vocabulary) {
  const runtime = await openLlamaCpp({ getLlama }, file, { threads: availableParallelism() });
  try {
    const found = [];
    for (const window of windows) found.push(...losses(await runtime.logits(window, vocabulary), window));
    return found;
  } finally {
    await runtime[Symbol.asyncDispose]();
  }
}

/** What `crossblock` wrote for a model, with its own losses on the windows of the text. */
async function prepare(argument) {
  const at = argument.indexOf("=");
  const [model, given] = argument.slice(at + 1).split(",");
  const name = at < 0 ? basename(resolve(model)) : argument.slice(0, at);
  const folder = join(out, name);
  const exports = join(folder, "result");
  const result = given === undefined ? exports : resolve(given);
  if (existsSync(folder)) throw new Error(`${folder} is there already; give another --out, or NAME=MODEL`);
  mkdirSync(folder, { recursive: true });
  const cli = (...rest) => run(process.execPath, [crossblock, ...rest], { maxBuffer: 2 ** 26 });
  const asked = written.length === 0 ? [] : ["--format", ...written];
  if (given === undefined) {
    const flags = values.flags.split(" ").filter((flag) => flag !== "");
    await cli("quantize", model, "--scheme", scheme, "--recipe", recipe, "--out", result, ...asked, ...flags);
  } else if (written.length > 0) {
    await cli("export", result, ...asked, "--out", exports);
  }
  if (formats.has("onnx")) {
    await cli("export", result, "--format", "onnx", "--onnx-accuracy", "exact", "--out", join(folder, "exact"));
  }
  const own = await ownLosses(result);
  const source = await ownLosses(model);
  // Both ways to our own number, so that the windows are those that `crossblock eval` counts.
  const evaluated = await evaluate(result, { text, context, device: "cpu", dtype: "float32" });
  if (Math.abs(evaluated.value / perplexityOf(own.losses) - 1) > 1e-4 || evaluated.tokens !== own.losses.length) {
    throw new Error(`${name}: eval says ${evaluated.value} of ${evaluated.tokens} tokens, its logits say otherwise`);
  }
  const windows = join(folder, "windows.json");
  writeFileSync(windows, JSON.stringify(own.windows));
  const onnx = (root) => join(root, "onnx", "onnx", only(join(root, "onnx", "onnx"), ".onnx"));
  const paths = {
    "source, transformers": () => resolve(model),
    "compressed-tensors, transformers": () => result,
    "GPTQ, GPTQModel": () => join(exports, "gptq"),
    "GGUF, llama.cpp": () => join(exports, "gguf", only(join(exports, "gguf"), ".gguf")),
    "ONNX, onnxruntime": () => onnx(exports),
    "ONNX exact, onnxruntime": () => onnx(join(folder, "exact")),
  };
  return { name, folder, windows, own, source: source.losses, paths };
}

function only(folder, ending) {
  const found = readdirSync(folder).filter((name) => name.endsWith(ending));
  if (found.length !== 1) throw new Error(`${folder} holds ${found.length} files *${ending}`);
  return found[0];
}

/** Losses by a Python reader of one column, all cases in one process; prints the versions that read. */
async function askPython(program, reader, column, cases) {
  const outputs = cases.map(({ folder }) => join(folder, `${column}.json`));
  const triples = cases.flatMap(({ paths, windows }, i) => [paths[column](), windows, outputs[i]]);
  const script = join(here, "windows_perplexity.py");
  const { stdout } = await run(program, [script, reader, ...triples], { maxBuffer: 2 ** 26 });
  const versions = stdout.split("\n").find((line) => line.startsWith("{"));
  for (const [name, version] of Object.entries(JSON.parse(versions))) packages.set(name, version);
  return outputs.map((file) => JSON.parse(readFileSync(file, "utf8")));
}

async function askLlamaCpp(column, cases) {
  packages.set("node-llama-cpp", llamaCpp.version);
  const found = [];
  for (const { paths, own } of cases) {
    found.push(
      await llamaCppLosses(paths[column](), own.windows, own.vocabulary).catch(({ message }) => ({ error: message })),
    );
  }
  return found;
}

const shown = (value) => (value >= 1e6 ? value.toExponential(4) : value.toPrecision(6));

const packages = new Map();
const cases = [];
for (const argument of positionals) cases.push(await prepare(argument));
const readersOf = [
  ["source", "source, transformers", (column) => askPython(python, "transformers", column, cases)],
  [
    "compressed-tensors",
    "compressed-tensors, transformers",
    (column) => askPython(python, "transformers", column, cases),
  ],
  ["gptq", "GPTQ, GPTQModel", (column) => askPython(gptqPython, "gptqmodel", column, cases)],
  ["gguf", "GGUF, llama.cpp", (column) => askLlamaCpp(column, cases)],
  ["onnx", "ONNX, onnxruntime", (column) => askPython(python, "onnxruntime", column, cases)],
  ["onnx", "ONNX exact, onnxruntime", (column) => askPython(python, "onnxruntime", column, cases)],
];
const answers = {};
for (const [format, column, ask] of readersOf) {
  if (format === "source" || formats.has(format)) answers[column] = await ask(column);
}
const readers = Object.keys(answers);
const header = [
  "case",
  "tokens",
  "source, ours",
  readers[0],
  "result, ours",
  ...readers.slice(1),
  "largest difference",
];
console.log(`| ${header.join(" | ")} |\n|${header.map(() => "---").join("|")}|`);
let wrong = 0;
for (const [i, { name, own, source }] of cases.entries()) {
  const differences = [];
  const cell = (reader, ours) => {
    const theirs = answers[reader][i];
    if (!Array.isArray(theirs)) {
      differences.push(Number.NaN);
      return theirs.error;
    }
    differences.push(Math.abs(perplexityOf(theirs) / perplexityOf(ours) - 1));
    const token = theirs.reduce((sum, loss, at) => sum + Math.abs(loss - ours[at]), 0) / theirs.length;
    return `${shown(perplexityOf(theirs))} (${token.toExponential(0)})`;
  };
  const cells = [cell(readers[0], source), shown(perplexityOf(own.losses))];
  for (const reader of readers.slice(1)) cells.push(cell(reader, own.losses));
  const largest = Math.max(...differences);
  // Written so that a perplexity that is no number is wrong, too.
  if (!(largest <= most)) wrong++;
  const row = [name, own.losses.length, shown(perplexityOf(source)), ...cells, `${(largest * 100).toPrecision(2)} %`];
  console.log(`| ${row.join(" | ")} |`);
}
console.log(`\n${[...packages].map(([name, version]) => `${name} ${version}`).join(", ")}; Node ${process.version}`);
console.log("In parentheses: mean absolute difference of a token's loss from ours, in nats.");
process.exitCode = wrong === 0 ? 0 : 1;
