// L4Q against three ways to a fine-tuned quantized model, with the same steps on the same text; held-out loss in nats a token that counts.
//   l4q          fine-tuned and quantized together
//   gptq+lora    GPTQ, then LoRA beside it in 16 bit: not an integer model; boa+lora the same with BoA's codes
//   lora>gptq    LoRA merged into the weights, then GPTQ
//   gptq+pooled  GPTQ, then LoRA on sums over groups of inputs, which real zero points take over (as QA-LoRA)
// usage: node bench/l4q/compare.mjs --model DIR --text DIR [--device cuda:0] [--schemes W3A16g64,W4A16g64] [--samples 512] [--context 512]
//   [--epochs 2] [--batch 16] [--rank 4] [--rates 1e-3] [--methods l4q,...] [--symmetric] [--set JSON of l4q.*, or an array of such, one run each]
// --text: a folder with train.jsonl and test.jsonl; of pairs (prompt and completion) and conversations only answers count. One line of
// JSON a result. Of a GPU `peakMB` is what tensors took at most while it trained; `lora` is the 16-bit model that lora>gptq merges.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readDocuments } from "../../dist/calibration/text/documents.js";
import { evaluationSequences, sampleSequences } from "../../dist/calibration/token-sequences.js";
import { tokenizeDocuments } from "../../dist/calibration/token-stream.js";
import { Checkpoint } from "../../dist/checkpoint/checkpoint.js";
import { readModelConfig } from "../../dist/checkpoint/model-config.js";
import { Tokenizer } from "../../dist/checkpoint/tokenizer/tokenizer.js";
import { DecoderNetwork, linearOf, readSpec } from "../../dist/network/index.js";
import { parameterGroups } from "../../dist/quant/parameter.js";
import { parseScheme } from "../../dist/quant/scheme.js";
import { frozenEnds } from "../../dist/recipe/end-to-end/network-ends.js";
import { recipeOf } from "../../dist/recipe/job/recipe-names.js";
import { runRecipe } from "../../dist/recipe/job/run-recipe.js";
import { resolveRecipeOptions } from "../../dist/recipe/options/resolve-recipe-options.js";
import { openStreams } from "../../dist/recipe/state/streams.js";
import { UnitSource } from "../../dist/recipe/state/unit-source.js";
import { advance } from "../../dist/reconstruct/advance.js";
import { forwardLearning, measureEndToEnd, trainEndToEnd } from "../../dist/reconstruct/end-to-end.js";
import { cosine } from "../../dist/reconstruct/objective/cosine.js";
import { nextTokenLoss } from "../../dist/reconstruct/objective/output-objective.js";
import { SequenceParts } from "../../dist/reconstruct/sequence-parts.js";
import { FaultWatch } from "../../dist/reconstruct/training/fault-watch.js";
import {
  Adam,
  deviceMemory,
  manualSeed,
  noGrad,
  releaseCachedMemory,
  resetPeakMemory,
  scope,
  synchronize,
  useOwnStream,
} from "../../dist/tensor/index.js";
import { LowRankBeside } from "./low-rank-beside.mjs";
import { mergedCheckpoint } from "./merged-checkpoint.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "models/sotu-llama-7m" },
    text: { type: "string" },
    device: { type: "string", default: "cpu" },
    dtype: { type: "string" },
    schemes: { type: "string", default: "W3A16g64,W4A16g64" },
    methods: { type: "string", default: "l4q,gptq+lora,lora>gptq,gptq+pooled" },
    samples: { type: "string", default: "512" },
    context: { type: "string", default: "512" },
    heldout: { type: "string", default: "64" },
    epochs: { type: "string", default: "2" },
    batch: { type: "string", default: "16" },
    rank: { type: "string", default: "4" },
    alpha: { type: "string", default: "16" },
    rates: { type: "string", default: "1e-3" },
    seed: { type: "string", default: "0" },
    symmetric: { type: "boolean", default: false },
    set: { type: "string", default: "{}" },
  },
});
const { model, device } = values;
if (values.text === undefined) throw new Error("give --text DIR with train.jsonl and test.jsonl");
const dtype = values.dtype ?? (device === "cpu" ? "float32" : "bfloat16");
const count = (name) => Number(values[name]);
const asked = (method) => values.methods.split(",").includes(method);
const [samples, context, epochs, batch, seed] = ["samples", "context", "epochs", "batch", "seed"].map(count);
const rates = values.rates.split(",").map(Number);
const sets = [JSON.parse(values.set)].flat();
const [rank, alpha] = [count("rank"), count("alpha")];
useOwnStream(device);

const spec = readSpec(await readModelConfig(model));
const checkpoint = await Checkpoint.open(model);
const tokenizer = await Tokenizer.open(model, spec.vocabSize);
const network = new DecoderNetwork(spec);
const [train, test] = await Promise.all(["train.jsonl", "test.jsonl"].map(tokensOf));
const tokens = sampleSequences(train.ids, { samples, context, seed, start: tokenizer.sequenceStart }, train.answers);
const whole = evaluationSequences(test.ids, context, tokenizer.sequenceStart);
const held = {
  ...whole,
  sequences: Math.min(whole.sequences, count("heldout")),
  ...(test.answers !== undefined && { answers: test.answers }),
};
const steps = epochs * Math.ceil(samples / batch);
say({
  model,
  text: values.text,
  device,
  dtype,
  samples,
  context,
  epochs,
  batch,
  steps,
  rank,
  alpha,
  held: held.sequences,
});

const untrained = opened(jobOf("rtn", "W4A16g64"), (source, k) => withPaths(source.open(k, false), () => null));
say({ method: "full precision, as it was", heldOut: untrained.heldOut() });
untrained.dispose();

const merged = new Map();
for (const rate of asked("lora>gptq") || asked("lora") ? rates : []) {
  const job = jobOf("rtn", "W4A16g64");
  const lora = opened(job, (source, k) =>
    withPaths(source.open(k, false), (weight) => new LowRankBeside(weight, { rank, alpha, pool: null })),
  );
  const cost = trained(lora, { lowRank: rate }, {});
  say({ method: "lora", rate, heldOut: lora.heldOut(), ...cost });
  merged.set(rate, mergedCheckpoint(checkpoint, lora.blocks));
  lora.dispose();
}
for (const scheme of values.schemes.split(",")) {
  if (asked("l4q")) {
    for (const [rate, set] of rates.flatMap((rate) => sets.map((set) => [rate, set]))) {
      const job = jobOf("l4q", scheme, { l4q: { rank, alpha, epochs, batch, rate, ...set } });
      const [stage] = recipeOf("l4q").stages(job.options);
      const tuned = openedByInputs(job, stage);
      const cost = trained(tuned, stage.rates, stage);
      say({ method: "l4q", scheme, rate, set, heldOut: tuned.heldOut(), ...cost });
      tuned.dispose();
    }
  }
  for (const codes of ["gptq", "boa"]) {
    if (!asked(codes) && !asked(`${codes}+lora`) && !asked(`${codes}+pooled`)) continue;
    const { job, results } = quantized(scheme, checkpoint, codes);
    const group = parseScheme(scheme).groupSize;
    const finished = (path) =>
      opened(job, (source, k) => {
        const block = source.openFinished(k, results, false);
        if (path === null) return block;
        for (const layer of block.layers.values()) {
          noGrad(() =>
            scope(() => {
              const weight = layer.path.weight(null, dtype);
              layer.dropPath();
              layer.learn(path(weight));
            }),
          );
        }
        return block;
      });
    const plain = finished(null);
    say({ method: `${codes}, not fine-tuned`, scheme, heldOut: plain.heldOut() });
    plain.dispose();
    for (const [method, pool] of [
      [`${codes}+lora`, null],
      [`${codes}+pooled`, group],
    ]) {
      for (const rate of asked(method) ? rates : []) {
        const tuned = finished((weight) => new LowRankBeside(weight, { rank, alpha, pool }));
        const cost = trained(tuned, { lowRank: rate }, {});
        say({ method, scheme, rate, heldOut: tuned.heldOut(), ...cost });
        tuned.dispose();
      }
    }
  }
  for (const [rate, reader] of merged) {
    if (!asked("lora>gptq")) continue;
    const { job, results } = quantized(scheme, reader);
    const rounded = opened(job, (source, k) => source.openFinished(k, results, false));
    say({ method: "lora>gptq", scheme, rate, heldOut: rounded.heldOut() });
    rounded.dispose();
  }
}
checkpoint.close();

async function tokensOf(file) {
  const documents = readDocuments([join(values.text, file)], tokenizer, {
    wantedBytes: 8 * samples * context,
    answers: true,
  });
  return await tokenizeDocuments(documents, tokenizer);
}

function jobOf(recipe, scheme, options = {}, reader = checkpoint) {
  const delivered = { weights: new Map(), plain: new Map() };
  return {
    checkpoint: reader,
    ...{ network, seed, tokens, device, dtype },
    recipe: recipeOf(recipe),
    scheme: parseScheme(scheme, { asym: !values.symmetric }),
    options: resolveRecipeOptions({ finish: "none", ...options }, { recipe }),
    ...{ gradients: "full", storage: "auto", scratch: tmpdir(), resume: null },
    poll: () => {},
    sink: {
      linear: (name, weight) => delivered.weights.set(name, weight),
      plain: (name, bytes) => delivered.plain.set(name, bytes),
      rescaled: () => {},
      activation: () => {},
      windowDone: () => {},
    },
    results: {
      readLinear: (name) => delivered.weights.get(name),
      readPlain: (name) => delivered.plain.get(name) ?? null,
      activationOf: () => null,
    },
  };
}

/** GPTQ, or another recipe that trains nothing, on the first 128 sequences of the text that is trained on. */
function quantized(scheme, reader, recipe = "gptq") {
  const few = Math.min(128, samples);
  const calibration = { ids: tokens.ids.subarray(0, few * context), sequences: few, context };
  const job = { ...jobOf(recipe, scheme, {}, reader), tokens: calibration };
  for (const _ of runRecipe(job));
  releaseCachedMemory();
  return { job: { ...job, tokens }, results: job.results };
}

/** A block whose Linears learn by the path that is made for each of its weights; those that get none stay in full precision. */
function withPaths(block, path) {
  block.castWeights(dtype);
  block.dropExactWeights();
  manualSeed(seed + block.index);
  for (const [role, layer] of block.layers) {
    const made = path(linearOf(block.weights, role).weight);
    if (made !== null) layer.learn(made);
  }
  return block;
}

function opened(job, open) {
  releaseCachedMemory();
  const source = new UnitSource(job, context);
  const ends = frozenEnds(job, tokens, null);
  const others = frozenEnds(job, held, null);
  const blocks = network.units.map((_unit, k) => open(source, k));
  const of = ({ input, end }) => ({ blocks, input, end });
  return {
    blocks,
    network: of(ends),
    heldOut: () =>
      Number(
        measureEndToEnd(of(others), nextTokenLoss(held), new SequenceParts(batch, () => {}), held.sequences).toFixed(4),
      ),
    dispose: () => {
      for (const owned of [...blocks, ends, others, source]) owned.dispose();
    },
  };
}

/** The blocks of a stage, each opened by the inputs that it gets from those before it. */
function openedByInputs(job, stage) {
  const parts = new SequenceParts(batch, () => {});
  const few = Math.min(stage.openingSequences ?? 0, samples);
  const calibration = { ids: tokens.ids.subarray(0, few * context), sequences: few, context };
  const [opening = null] = few === 0 ? [] : openStreams(job, calibration, ["opening"], "host");
  const tuned = opened(job, (source, k) => {
    const block = stage.open(k, { job, source, parts, opening });
    if (opening !== null) advance(opening, opening, parts, (x) => forwardLearning(block, x));
    return block;
  });
  opening?.dispose();
  return tuned;
}

function trained(tuned, byRole, { decay = { lowRank: 0.01 }, warmup = 0.1, finalRate = 0, clip = 1 }) {
  const parameters = tuned.blocks.flatMap((block) => block.parameters);
  const adam = new Adam(parameterGroups(parameters, byRole));
  const [objective, watch, parts] = [nextTokenLoss(tokens), new FaultWatch(), new SequenceParts(batch, () => {})];
  // What opening took is not what training takes.
  releaseCachedMemory();
  resetPeakMemory(device);
  const started = performance.now();
  let last = Number.NaN;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const report of trainEndToEnd(tuned.network, adam, objective, {
      ...{ epoch, batch, parts, watch, clip },
      seed: seed * 65536 + epoch,
      schedule: (step) => cosine(step, steps, finalRate, warmup),
      decay: { rates: byRole, by: decay },
    })) {
      if ("loss" in report) last = report.loss;
    }
  }
  synchronize(device);
  adam.dispose();
  const peak = deviceMemory(device)?.peak ?? null;
  return {
    loss: Number(last.toFixed(4)),
    seconds: Number(((performance.now() - started) / 1000).toFixed(1)),
    ...(peak !== null && { peakMB: Math.round(peak / 1e6) }),
    learnt: parameters.reduce((sum, { tensor }) => sum + tensor.numel, 0),
  };
}

function say(line) {
  console.log(JSON.stringify(line));
}
