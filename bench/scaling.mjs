// How the time of a run grows with blocks and with calibration tokens: the bundled model cut to its first blocks, default
// preset, 2 epochs. usage: npm run bench:scaling [-- --device cpu] [--rounds 3] [--sequences 16]
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { Checkpoint } from "../dist/checkpoint/checkpoint.js";
import { readModelConfig } from "../dist/checkpoint/model-config.js";
import { DecoderNetwork, readSpec } from "../dist/network/index.js";
import { parseScheme } from "../dist/quant/scheme.js";
import { recipeOf } from "../dist/recipe/job/recipe-names.js";
import { runRecipe } from "../dist/recipe/job/run-recipe.js";
import { resolveRecipeOptions } from "../dist/recipe/options/resolve-recipe-options.js";
import { engineInfo } from "../dist/tensor/index.js";

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "cpu" },
    rounds: { type: "string", default: "3" },
    sequences: { type: "string", default: "16" },
  },
});
const model = "models/sotu-llama-7m";
const context = 512;
const checkpoint = await Checkpoint.open(model);
const config = await readModelConfig(model);
const options = resolveRecipeOptions({ window: { epochs: 2, batch: 4 } });
const nothing = { linear: () => {}, plain: () => {}, rescaled: () => {}, activation: () => {}, windowDone: () => {} };

/** Seconds of a run over the first `blocks` blocks on `sequences` random sequences. */
function seconds(blocks, sequences) {
  const spec = readSpec({ ...config, num_hidden_layers: blocks });
  const ids = Int32Array.from({ length: sequences * context }, (_, i) => (i * 7919 + ((i * i) % 613)) % spec.vocabSize);
  const started = performance.now();
  const run = runRecipe({
    checkpoint,
    network: new DecoderNetwork(spec),
    recipe: recipeOf("cbq"),
    scheme: parseScheme("W4A16g64"),
    options,
    seed: 0,
    tokens: { ids, sequences, context },
    device: values.device,
    dtype: values.device === "cpu" ? "float32" : "bfloat16",
    gradients: "full",
    storage: "auto",
    scratch: tmpdir(),
    resume: null,
    results: null,
    poll: () => {},
    sink: nothing,
  });
  while (run.next().done !== true);
  return (performance.now() - started) / 1000;
}

const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];
const least = Number(values.sequences);
const cases = [
  ...[3, 5, 7].map((blocks) => ({ blocks, sequences: least })),
  ...[2, 3].map((times) => ({ blocks: 3, sequences: times * least })),
];
seconds(2, 4);
console.log(`| blocks | windows | tokens | seconds |\n|---|---|---|---|`);
for (const { blocks, sequences } of cases) {
  const time = median(Array.from({ length: Number(values.rounds) }, () => seconds(blocks, sequences)));
  console.log(`| ${blocks} | ${blocks - 1} | ${sequences * context} | ${time.toFixed(1)} |`);
}
const { devices, threads, torchVersion } = engineInfo();
console.log(`${values.device === "cpu" ? `${threads} threads` : devices[0]?.name}, libtorch ${torchVersion}`);
