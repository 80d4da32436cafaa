// Whole windows of a run on a random model of a real one's shape: loading, targets, training, hardening, both streams moved
// on, codes and state saved as a run saves them; then the export and the fingerprints of one block. usage: npm run bench:run -- --shape 7b
//   --blocks 32 --windows 4 --device cuda:0 [--scheme W4A16] [--rounding lora|code] [--samples 128] [--context 2048]
//   [--epochs 3] [--batch 1] [--gradients auto|full|fp8] [--of 32] [--folder DIR] [--make] [--json]
// The model is made in --folder when it is not there yet (7b: 13 GB with 32 blocks); --make does no more than that. --of
// says how many blocks the real one has. The first window prepares more blocks and compiles kernels, the last one moves no
// streams: neither is typical.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Checkpoint } from "../dist/checkpoint/checkpoint.js";
import { readModelConfig } from "../dist/checkpoint/model-config.js";
import { writeSafetensors } from "../dist/checkpoint/safetensors/write-safetensors.js";
import { compressedTensors } from "../dist/format/compressed-tensors/write.js";
import { DecoderNetwork, decoderUnits, readSpec } from "../dist/network/index.js";
import { parseScheme } from "../dist/quant/scheme.js";
import { recipeOf } from "../dist/recipe/job/recipe-names.js";
import { runRecipe } from "../dist/recipe/job/run-recipe.js";
import { resolveRecipeOptions } from "../dist/recipe/options/resolve-recipe-options.js";
import { fingerprintsOf } from "../dist/run/journal/fingerprints.js";
import { Journal } from "../dist/run/journal/journal.js";
import { ALWAYS_SAVED, SAVING_SHARE } from "../dist/run/journal/state-pace.js";
import { gradientPrecision } from "../dist/run/machine/gradient-precision.js";
import { deviceMemory, engineInfo, manualSeed, scope, Tensor } from "../dist/tensor/index.js";
import { configOf } from "./shapes.mjs";

const { values } = parseArgs({
  options: {
    shape: { type: "string", default: "sotu" },
    blocks: { type: "string", default: "5" },
    windows: { type: "string", default: "4" },
    scheme: { type: "string", default: "W4A16" },
    rounding: { type: "string", default: "lora" },
    samples: { type: "string", default: "128" },
    context: { type: "string", default: "2048" },
    epochs: { type: "string", default: "3" },
    batch: { type: "string", default: "1" },
    of: { type: "string" },
    device: { type: "string", default: "cpu" },
    gradients: { type: "string", default: "auto" },
    folder: { type: "string" },
    make: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const count = (name) => Number(values[name]);
const folder = values.folder ?? join(tmpdir(), `crossblock-${values.shape}-${values.blocks}`);
const vocabulary = 32000;
const config = configOf(values.shape, count("blocks"), vocabulary);

async function makeModel() {
  await mkdir(folder, { recursive: true });
  manualSeed(0);
  // One stretch of random numbers serves every tensor: nobody looks for patterns between them.
  const stretch = scope(() =>
    Tensor.randn([2 ** 24])
      .mul(0.02)
      .to("bfloat16")
      .toArray(),
  );
  const bytes = new Uint8Array(stretch.buffer, stretch.byteOffset, stretch.byteLength);
  const tensor = (name, size, fill) => {
    const byteLength = size.reduce((product, length) => product * length, 2);
    const make = () => {
      const out = new Uint8Array(byteLength);
      if (fill !== undefined) new Uint16Array(out.buffer).fill(fill);
      else for (let at = 0; at < byteLength; at += bytes.length) out.set(bytes.subarray(0, byteLength - at), at);
      return out;
    };
    return { name, dtype: "BF16", shape: size, byteLength, bytes: make };
  };
  const { hidden_size: hidden, intermediate_size: inner, num_attention_heads: heads, num_key_value_heads: kv } = config;
  const keys = (hidden / heads) * kv;
  const ONE = 0x3f80;
  const tensors = [
    tensor("model.embed_tokens.weight", [vocabulary, hidden]),
    tensor("model.norm.weight", [hidden], ONE),
    ...Array.from({ length: config.num_hidden_layers }, (_, i) => {
      const at = `model.layers.${i}`;
      return [
        tensor(`${at}.input_layernorm.weight`, [hidden], ONE),
        tensor(`${at}.post_attention_layernorm.weight`, [hidden], ONE),
        tensor(`${at}.self_attn.q_proj.weight`, [hidden, hidden]),
        tensor(`${at}.self_attn.k_proj.weight`, [keys, hidden]),
        tensor(`${at}.self_attn.v_proj.weight`, [keys, hidden]),
        tensor(`${at}.self_attn.o_proj.weight`, [hidden, hidden]),
        tensor(`${at}.mlp.gate_proj.weight`, [inner, hidden]),
        tensor(`${at}.mlp.up_proj.weight`, [inner, hidden]),
        tensor(`${at}.mlp.down_proj.weight`, [hidden, inner]),
      ];
    }).flat(),
  ];
  await writeSafetensors(folder, tensors);
  await writeFile(join(folder, "tokenizer.json"), "{}");
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
}

/** Per cent of the time in which the GPU was busy, its clock and its power, as its driver samples them. */
const SAMPLED = ["utilization.gpu", "clocks.sm", "power.draw"];

function watchGpu() {
  if (values.device === "cpu") return { mean: () => null, stop: () => {} };
  let text = "";
  const query = [`--query-gpu=timestamp,${SAMPLED.join(",")}`, "--format=csv,noheader,nounits", "-lms", "50"];
  const child = spawn("nvidia-smi", query);
  child.on("error", () => {});
  child.stdout.on("data", (chunk) => {
    text += String(chunk);
  });
  /** Mean of a quantity over the samples that fall into one of the `spans` [from, to], in milliseconds of `Date.now()`. */
  const mean = (quantity, spans) => {
    const column = SAMPLED.indexOf(quantity) + 1;
    const samples = text
      .trim()
      .split("\n")
      .map((line) => line.split(", "))
      .map((fields) => ({ at: new Date(fields[0]).getTime(), value: Number(fields[column]) }))
      .filter(({ at, value }) => Number.isFinite(value) && spans.some(([from, to]) => at >= from && at <= to));
    if (samples.length === 0) return null;
    return Math.round(samples.reduce((sum, { value }) => sum + value, 0) / samples.length);
  };
  return { mean, stop: () => child.kill() };
}

if (!values.make && (count("windows") < 2 || count("blocks") < count("windows") + 2)) {
  throw new Error(
    "--windows is at least 2, and --blocks at least 2 more, so that there are windows like most of a run's",
  );
}
if (!existsSync(join(folder, "config.json"))) await makeModel();
if (values.make) process.exit(0);
const checkpoint = await Checkpoint.open(folder);
const spec = readSpec(await readModelConfig(folder));
const options = resolveRecipeOptions({
  rounding: { kind: values.rounding, start: "rtn" },
  window: { epochs: count("epochs"), batch: count("batch") },
});
const ids = Int32Array.from(
  { length: count("samples") * count("context") },
  (_, i) => (i * 7919 + ((i * i) % 613)) % vocabulary,
);
const dtype = values.device === "cpu" ? "float32" : "bfloat16";
const gradients = gradientPrecision({ compute: { gradients: values.gradients, dtype } }, spec, values.device);
const work = await mkdtemp(join(tmpdir(), "crossblock-bench-"));
const pace = {
  isDue: true,
  time(save) {
    const from = performance.now();
    const entry = save();
    // Once is measured; a run does it so rarely that it takes a twentieth of the time.
    this.isDue = false;
    this.seconds = (performance.now() - from) / 1000;
    return entry;
  },
};
const journal = await Journal.open({
  folder: work,
  identity: {},
  windows: () => spec.blocks.length - options.window.size + 1,
  choose: () => ({ microBatch: 1, threads: engineInfo().threads, finish: "none" }),
  warn: ({ message }) => console.error(message),
  poll: () => {},
  pace,
});
const started = performance.now();
const run = runRecipe({
  checkpoint,
  network: new DecoderNetwork(spec),
  recipe: recipeOf("cbq"),
  scheme: parseScheme(values.scheme),
  options,
  seed: 0,
  tokens: { ids, sequences: count("samples"), context: count("context") },
  device: values.device,
  dtype,
  gradients,
  storage: "auto",
  scratch: tmpdir(),
  resume: null,
  results: journal.finished,
  poll: () => {},
  sink: journal,
});
const gpu = watchGpu();
const windows = [];
let [begun, trained] = [Date.now(), 0];
/** From the first step that was reported to the last one. */
const training = [];
const whole = [];
/** Where the time of each window goes: name of a stage and the moment at which it began. */
let moments = [["stream", begun]];
const enter = (stage) => {
  if (moments.at(-1)[0] !== stage) moments.push([stage, Date.now()]);
};
const stages = [];
for (;;) {
  const { value: event, done } = run.next();
  if (done) break;
  // The driver's samples arrive between events.
  await new Promise((resolve) => setImmediate(resolve));
  if (event.event === "progress") enter(event.stage.split(" ")[0]);
  if (event.event === "window-start") {
    trained = 0;
    enter("start");
  }
  if (event.event === "step") {
    enter("steps");
    if (trained === 0) training.push([Date.now(), 0]);
    trained = Date.now();
    training.at(-1)[1] = trained;
  }
  if (event.event === "window-done") {
    const [first] = training.at(-1);
    const now = Date.now();
    whole.push([begun, now]);
    // Reports come in groups, each at the end of its steps: the first one's steps are over when it is heard.
    const ends = [...moments.slice(1).map(([, at]) => at), now];
    stages.push(moments.map(([stage, at], i) => `${stage} ${((ends[i] - at) / 1000).toFixed(1)}`).join(", "));
    windows.push({ seconds: (now - begun) / 1000, training: (trained - first) / 1000 });
    begun = now;
    moments = [["stream", now]];
    if (windows.length === count("windows")) break;
  }
}
gpu.stop();
run.return(undefined);
const beforeWindows = performance.now() - started - windows.reduce((sum, { seconds }) => sum + seconds * 1000, 0);

/** What a run does for each block after its windows: copies the Linears of block 0, takes their fingerprints from the record. */
async function exportBlock() {
  const tensors = new Map();
  const source = journal.finished.exportSource(
    { folder, tensors, read: unread },
    { name: values.shape, config, activations: null },
  );
  const names = decoderUnits(spec)[0].layers.map(({ module }) => module);
  const block = { ...source, linears: new Map(names.map((name) => [name, source.linears.get(name)])) };
  const from = performance.now();
  const { totalBytes } = await writeSafetensors(join(work, "export"), compressedTensors(block));
  await fingerprintsOf(
    block,
    (name) => journal.finished.hashOf(name),
    [],
    () => {},
  );
  return { seconds: (performance.now() - from) / 1000, packed: totalBytes };
}

function unread(name) {
  throw new Error(`${name} is no Linear of a block`);
}

// The last window that was handed over is still to be written; a run does that once, the others while it trains.
const flushing = performance.now();
if (journal.finished.done.length !== windows.length) throw new Error("a window is missing");
const lastWindow = (performance.now() - flushing) / 1000;
const exported = await exportBlock();
await rm(work, { recursive: true });
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const perWindow = median(windows.slice(1).map(({ seconds }) => seconds));
const blocks = Number(values.of ?? spec.blocks.length);
const all = blocks - options.window.size + 1;
const saving = pace.seconds > ALWAYS_SAVED ? SAVING_SHARE : 0;
const minutes = ((all * perWindow) / (1 - saving) + lastWindow + blocks * exported.seconds) / 60;
const facts = engineInfo();
const report = {
  shape: values.shape,
  scheme: values.scheme,
  rounding: values.rounding,
  gradients,
  tokens: `${values.samples} x ${values.context}, ${values.epochs} epochs`,
  device: values.device === "cpu" ? `cpu, ${facts.threads} threads` : facts.devices[0]?.name,
  windows: windows.map(({ seconds }) => +seconds.toFixed(2)),
  training: windows.map(({ training }) => +training.toFixed(2)),
  stages: stages.join("; "),
  beforeWindows: +(beforeWindows / 1000).toFixed(1),
  stateSeconds: +pace.seconds.toFixed(1),
  lastWindowSeconds: +lastWindow.toFixed(1),
  exportSeconds: +exported.seconds.toFixed(2),
  projected: `${all} windows x ${perWindow.toFixed(2)} s, streams saved, the last one written, ${blocks} blocks exported: ${minutes.toFixed(1)} min`,
  packedMiB: Math.round(exported.packed / 2 ** 20),
  gpuBusyPercent: gpu.mean("utilization.gpu", whole.slice(1)),
  gpuBusyInTrainingPercent: gpu.mean("utilization.gpu", training),
  gpuClockInTrainingMHz: gpu.mean("clocks.sm", training),
  gpuPowerInTrainingW: gpu.mean("power.draw", training),
  devicePeakGiB: values.device === "cpu" ? null : +((deviceMemory(values.device)?.peak ?? 0) / 2 ** 30).toFixed(2),
  hostPeakGiB: +(process.resourceUsage().maxRSS / 2 ** 20).toFixed(2),
};
if (values.json) console.log(JSON.stringify(report));
else for (const [name, value] of Object.entries(report)) if (value !== null) console.log(`${name.padEnd(18)} ${value}`);
process.exit(0);
