// Activation regularisation against plain training and training with quantized inputs alone: a Llama of 7 M parameters, each
// arm from scratch. Prints a row per arm: perplexity at W16A16, W16A4, W4A4, W3A4 and W2A4 (round to nearest; GPTQ at 4 and 3 bits; one
// fixed range per Linear's input), the kurtosis of outputs and the outlier channels of inputs.
// usage: node bench/kurtosis.mjs [--text DIR] [--device cuda:0] [--samples 900] [--context 256] [--epochs 8] [--batch 16]
//   [--rate 1e-3] [--weight 1e-4] [--seeds 0,1] [--arms plain,qat,kurtosis] [--set JSON] [--out DIR]
// --text: a folder with train.jsonl and test.jsonl; without it the bundled text, every tenth document of which is the test.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundledDocuments } from "../dist/calibration/bundled/bundled-text.js";
import { readDocuments } from "../dist/calibration/text/documents.js";
import { tokenizeDocuments } from "../dist/calibration/token-stream.js";
import { Checkpoint } from "../dist/checkpoint/checkpoint.js";
import { readModelConfig } from "../dist/checkpoint/model-config.js";
import { Tokenizer } from "../dist/checkpoint/tokenizer/tokenizer.js";
import { evaluate, quantize } from "../dist/index.js";
import { checkpointSource, Decoder, readSpec, tokenIds } from "../dist/network/index.js";
import { kurtosis } from "../dist/reconstruct/objective/kurtosis.js";
import { noGrad, scope } from "../dist/tensor/index.js";

const { values } = parseArgs({
  options: {
    text: { type: "string" },
    device: { type: "string", default: "cpu" },
    samples: { type: "string", default: "900" },
    context: { type: "string", default: "256" },
    epochs: { type: "string", default: "8" },
    batch: { type: "string", default: "16" },
    rate: { type: "string", default: "1e-3" },
    weight: { type: "string", default: "1e-4" },
    seeds: { type: "string", default: "0" },
    arms: { type: "string", default: "plain,qat,kurtosis" },
    set: { type: "string", default: "{}" },
    out: { type: "string" },
  },
});
const root = fileURLToPath(new URL("..", import.meta.url));
const folder = values.out ?? mkdtempSync(join(tmpdir(), "crossblock-kurtosis-"));
const { context, device } = values;
mkdirSync(folder, { recursive: true });

/** What differs between the arms: the paper's ablation. */
const arms = {
  plain: { inputs: "float", weight: 0 },
  qat: { inputs: "quantized", weight: 0 },
  kurtosis: { inputs: "quantized", weight: Number(values.weight) },
};

// The configuration of the bundled model, and its tokenizer: 7 M parameters, none of them trained.
const model = join(folder, "model");
mkdirSync(model, { recursive: true });
for (const file of ["config.json", "tokenizer.json", "tokenizer_config.json"]) {
  cpSync(join(root, "models/sotu-llama-7m", file), join(model, file));
}
const text = values.text ?? (await splitBundledText());

console.log(
  `model: 7 M parameters from scratch, ${values.samples} sequences of ${context} tokens, ${values.epochs} epochs`,
);
console.log(
  "| arm | seed | W16A16 | W16A4 | W4A4 | W3A4 | W2A4 | W4A4 GPTQ | W3A4 GPTQ | kurtosis | outlier channels | seconds |",
);
console.log("|---|---|---|---|---|---|---|---|---|---|---|---|");
for (const seed of values.seeds.split(",")) {
  for (const arm of values.arms.split(",")) await runArm(arm, seed);
}

async function runArm(arm, seed) {
  const out = (name) => join(folder, `${arm}-${seed}-${name}`);
  const { samples, epochs, batch, rate } = values;
  const numbers = { epochs: Number(epochs), batch: Number(batch), rate: Number(rate) };
  const training = { from: "scratch", codes: "nearest", ...numbers, ...arms[arm], ...JSON.parse(values.set) };
  const started = performance.now();
  await make(
    out("w4"),
    { model, recipe: "kurtosis", scheme: "W4A4", samples: Number(samples), kurtosis: training },
    seed,
  );
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const trained = join(out("w4"), "trained");
  const activation = { granularity: "tensor" };
  for (const [name, recipe, scheme] of [
    ["w3", "rtn", "W3A4"],
    ["w2", "rtn", "W2A4"],
    ["g4", "gptq", "W4A4"],
    ["g3", "gptq", "W3A4"],
  ]) {
    await make(out(name), { model: trained, recipe, scheme, samples: 64, activation }, seed);
  }
  // The same weights without the ranges of inputs.
  const float = out("float");
  cpSync(trained, float, { recursive: true });
  const { crossblock: _, ...config } = JSON.parse(readFileSync(join(trained, "config.json"), "utf8"));
  writeFileSync(join(float, "config.json"), JSON.stringify(config));
  const scores = [];
  for (const path of [float, trained, out("w4"), out("w3"), out("w2"), out("g4"), out("g3")])
    scores.push(await perplexity(path));
  const { mean, channels } = await statistics(float);
  const cells = [arm, seed, ...scores.map((score) => score.toFixed(2)), mean.toFixed(2), channels, seconds];
  console.log(`| ${cells.join(" | ")} |`);
}

async function make(out, options, seed) {
  const given = { calibration: join(text, "train.jsonl"), context: Number(context), device, seed: Number(seed) };
  const places = { out, force: true, fresh: true, score: false, report: false, effort: "normal" };
  for await (const event of quantize({ ...given, ...places, ...options })) {
    if (event.event === "warning") console.error(`${out}: ${event.message}`);
  }
}

async function perplexity(path) {
  return (await evaluate(path, { text: join(text, "test.jsonl"), context: Number(context), device })).value;
}

// Of the trained network in floating point, on the first sequences of the test: the mean kurtosis of what Linears give, and the
// channels of inputs whose mean magnitude is above six times that of their Linear.
async function statistics(path) {
  const checkpoint = await Checkpoint.open(path);
  const spec = readSpec(await readModelConfig(path));
  const tokenizer = await Tokenizer.open(path, spec.vocabSize);
  const { ids } = await tokenizeDocuments(readDocuments([join(text, "test.jsonl")], tokenizer), tokenizer, {});
  const kurtoses = [];
  let channels = 0;
  const decoder = Decoder.load(
    checkpointSource(checkpoint, { device, dtype: "float32" }),
    spec,
    () =>
      (_name, x, { weight, bias }) => {
        const output = x.linear(weight, bias);
        kurtoses.push(kurtosis(output).mean().item());
        const sizes = x
          .abs()
          .reshape([-1, x.size(-1)])
          .mean(0);
        channels += sizes.gt(sizes.mean().mul(6)).to("float32").sum().item();
        return output;
      },
  );
  noGrad(() => {
    scope(() => {
      const count = 8;
      const length = Number(context);
      const tokens = tokenIds(spec, ids.slice(0, count * length), [count, length], device);
      decoder.hidden(tokens);
    });
  });
  decoder.dispose();
  checkpoint[Symbol.dispose]();
  return { mean: kurtoses.reduce((sum, value) => sum + value, 0) / kurtoses.length, channels };
}

async function splitBundledText() {
  const parts = { train: [], test: [] };
  let count = 0;
  for await (const { text: body } of bundledDocuments(null, { characters: Number.POSITIVE_INFINITY, seed: 0 })) {
    parts[count++ % 10 === 9 ? "test" : "train"].push(`${JSON.stringify({ text: body })}\n`);
  }
  for (const [name, lines] of Object.entries(parts)) writeFileSync(join(folder, `${name}.jsonl`), lines.join(""));
  return folder;
}
