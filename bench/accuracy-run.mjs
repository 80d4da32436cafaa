// One cell of the accuracy tables: quantizes in this process and prints the perplexity as a line of JSON.
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { evaluationSequences, sampleSequences } from "../dist/calibration/token-sequences.js";
import { Checkpoint } from "../dist/checkpoint/checkpoint.js";
import { readModelConfig } from "../dist/checkpoint/model-config.js";
import { perplexity } from "../dist/evaluate/perplexity.js";
import { checkpointSource, Decoder, DecoderNetwork, linearName, readSpec } from "../dist/network/index.js";
import { fromQuantizedWeight } from "../dist/quant/from-quantized-weight.js";
import { quantizerFrom } from "../dist/quant/input/stored-quantizer.js";
import { parseScheme } from "../dist/quant/scheme.js";
import { recipeOf } from "../dist/recipe/job/recipe-names.js";
import { wantsRotation } from "../dist/recipe/job/rotation-rule.js";
import { runRecipe } from "../dist/recipe/job/run-recipe.js";
import { resolveRecipeOptions } from "../dist/recipe/options/resolve-recipe-options.js";
import { deviceMemory, engineInfo, keep, liveHandles, scope, setThreads, Tensor } from "../dist/tensor/index.js";
import { RotatedModel } from "../dist/transform/rotation/rotated-model.js";

const job = JSON.parse(process.argv[2]);
const {
  model,
  scheme,
  asym = false,
  recipe = "cbq",
  preset = "default",
  tokens,
  context,
  samples,
  evalContext,
  set = {},
  device = "cpu",
  dtype = "float32",
  gradients = "full",
  threads = 2,
  seed = 0,
} = job;
setThreads(threads);
// `tokens` names a folder of int32 token ids, for machines without a tokenizer; `text` names the texts.
const ids = async (split) => {
  if (tokens !== undefined) return new Int32Array(new Uint8Array(readFileSync(`${tokens}/${split}.bin`)).buffer);
  const { Tokenizer } = await import("../dist/checkpoint/tokenizer/tokenizer.js");
  const { readDocuments } = await import("../dist/calibration/text/documents.js");
  const { tokenizeDocuments } = await import("../dist/calibration/token-stream.js");
  const tokenizer = await Tokenizer.open(model);
  return (await tokenizeDocuments(readDocuments([job.text[split]], tokenizer), tokenizer, {})).ids;
};
const original = await Checkpoint.open(model);
const originalSpec = readSpec(await readModelConfig(model));
const calibration = sampleSequences(await ids("train"), { samples, context, seed });
const test = evaluationSequences(await ids("test"), evalContext);
const options = resolveRecipeOptions(set, { recipe: recipe === "none" ? "cbq" : recipe, preset });
const resolved = parseScheme(scheme, { asym });
const rotates = recipe !== "none" && wantsRotation(recipeOf(recipe), options, resolved, originalSpec);
const checkpoint = rotates ? new RotatedModel(original, originalSpec, seed) : original;
const spec = rotates ? checkpoint.spec : originalSpec;
options.rotation = rotates ? "hadamard" : "none";
const weights = new Map();
const plain = new Map();
const activations = new Map();
const started = performance.now();
if (recipe !== "none") {
  const run = runRecipe({
    checkpoint,
    network: new DecoderNetwork(spec),
    recipe: recipeOf(recipe),
    scheme: resolved,
    options,
    seed,
    tokens: recipe === "rtn" ? null : calibration,
    device,
    dtype,
    gradients,
    storage: "auto",
    scratch: tmpdir(),
    resume: null,
    results: {
      readLinear: (name) => weights.get(`${name}.weight`),
      readPlain: (name) => plain.get(name) ?? null,
      activationOf: (name) => activations.get(name) ?? null,
    },
    poll: () => {},
    sink: {
      linear: (name, w) => weights.set(`${name}.weight`, w),
      rescaled: (name, scales) => weights.set(`${name}.weight`, { ...weights.get(`${name}.weight`), scales }),
      plain: (name, b) => plain.set(name, b),
      activation: (name, v) => activations.set(name, v),
      windowDone: () => {},
    },
  });
  for (const event of run) {
    if (event.event === "window-done" && job.verbose)
      console.error(
        `window ${event.window + 1}/${event.windows} ${event.seconds.toFixed(1)} s`,
        JSON.stringify(event.lossBefore),
        JSON.stringify(event.lossAfter),
      );
    if (event.event === "warning") console.error(event.message);
  }
}
const seconds = (performance.now() - started) / 1000;
const handles = liveHandles();
const deviceGiB = device === "cpu" ? null : +((deviceMemory(device)?.peak ?? 0) / 2 ** 30).toFixed(2);
// Judged in fp32, however it was trained.
const judged = "float32";
const base = checkpointSource(checkpoint, { device, dtype: judged });
const stored = { BF16: "bfloat16", F16: "float16", F32: "float32" };
const source = (name, shape) => {
  const w = weights.get(name);
  if (w !== undefined) return keep(scope(() => fromQuantizedWeight(w, device)));
  const bytes = plain.get(name);
  if (bytes !== undefined)
    return keep(
      scope(() => Tensor.fromBytes(bytes, shape, stored[checkpoint.tensors.get(name).dtype]).to(device).to(judged)),
    );
  return base(name, shape);
};
const quantizers = new Map();
const linear = (block) =>
  resolved.activationBits === 16 || recipe === "none"
    ? undefined
    : (role, x, { weight, bias }) => {
        const name = linearName(spec, block, role);
        let q = quantizers.get(name);
        if (q === undefined) {
          const value = activations.get(name);
          const { granularity } = options.activation;
          q = quantizerFrom(granularity, resolved.activationBits, value, device, { learn: false });
          quantizers.set(name, q);
        }
        return q.apply(x).linear(weight, bias);
      };
const decoder = Decoder.load(source, spec, linear);
const result = perplexity(decoder, test);
decoder.dispose();
console.log(
  JSON.stringify({
    name: job.name,
    scheme,
    asym,
    recipe,
    ppl: +result.value.toFixed(3),
    seconds: +seconds.toFixed(1),
    deviceGiB,
    rssGiB: +(process.resourceUsage().maxRSS / 2 ** 20).toFixed(2),
    handles,
    torch: engineInfo().torchVersion,
    device,
  }),
);
