// What quantizing a diffusion network comes to, with and without what TFMQ-DM does: a line of JSON for each way, added to a file of
// results, from which docs/measurements/diffusion.md is written (page.mjs). Works from a built dist.
// usage: node bench/tfmq/measure.mjs --kind ddpm|terrain --model FILE.onnx --json FILE [--schemes W8A8,W4A8] [--ways rtn,...] [--steps 20]
//   [--sampler ddim|ddpm|consistency] [--device cuda:0] [--seed 1] [--calibration 16] [--images 256] [--batch 64] [--classifier FILE.onnx --data DIR --reals 2000] [--grid DIR] [--runtime 16] [--set JSON of tfmq.*] [--asym]
// --runtime: of so many images, what onnxruntime makes of the written file is held against what we simulate.
// --asym: weights have zero points. --seed: of the trajectory that calibrates, and of the training. --calibration: its images. --images: those that are compared, from other noise. --classifier: an ONNX
// file whose last layer reads the features of the Frechet distance, for images of Fashion-MNIST in --data.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { encodePng } from "../../dist/evaluate/samples/png.js";
import { sampleGrid } from "../../dist/evaluate/samples/sample-grid.js";
import { FinishedNetwork } from "../../dist/recipe/state/finished-network.js";
import { setThreads } from "../../dist/tensor/index.js";
import { DiffusionNetwork } from "./diffusion-network.mjs";
import { ClassifierFeatures, frechetDistance } from "./frechet.mjs";
import { sampledInOnnxRuntime } from "./in-onnxruntime.mjs";

const { values } = parseArgs({
  options: {
    kind: { type: "string" },
    model: { type: "string" },
    json: { type: "string" },
    schemes: { type: "string", default: "W8A8,W4A8" },
    ways: { type: "string", default: "full,rtn,brecq,tiar,fsc,tfmq" },
    steps: { type: "string", default: "20" },
    calibration: { type: "string", default: "16" },
    images: { type: "string", default: "256" },
    batch: { type: "string", default: "64" },
    classifier: { type: "string" },
    data: { type: "string", default: "/usr/share/datasets/fashion-mnist" },
    reals: { type: "string", default: "2000" },
    grid: { type: "string" },
    set: { type: "string", default: "{}" },
    sampler: { type: "string" },
    runtime: { type: "string", default: "0" },
    device: { type: "string", default: "cpu" },
    seed: { type: "string", default: "1" },
    threads: { type: "string", default: "1" },
    asym: { type: "boolean", default: false },
  },
});

setThreads(Number(values.threads));
const own = JSON.parse(values.set);
/** The ablation: what AdaRound block by block does, and what each half of TFMQ-DM adds. */
const ways = {
  rtn: ["rtn", {}],
  brecq: ["tfmq", { tfmq: { ...own, tiar: false, fsc: false } }],
  tiar: ["tfmq", { tfmq: { ...own, tiar: true, fsc: false } }],
  fsc: ["tfmq", { tfmq: { ...own, tiar: false, fsc: true } }],
  tfmq: ["tfmq", { tfmq: { ...own, tiar: true, fsc: true } }],
};

/** Seed of the noise of the images that are compared, which nothing was calibrated on. */
const NOISE = 1000;
const images = Number(values.images);
const batch = Number(values.batch);
const seed = Number(values.seed);
const { device, sampler = values.kind === "ddpm" ? "ddim" : "consistency" } = values;
const net = new DiffusionNetwork(values.kind, values.model, Number(values.steps), { device, sampler });
const place = {
  ...{ kind: values.kind, sampler, steps: net.sampler.steps.length, images },
  ...{ calibration: Number(values.calibration), seed },
  ...(values.asym && { asym: true }),
};
const full = net.sample(images, { seed: NOISE, batch });
const trajectory = net.sample(place.calibration, { seed, batch });

const features = values.classifier === undefined ? null : new ClassifierFeatures(values.classifier, device);
const reals = features === null ? null : features.of(testImages(Number(values.reals)), [1, 28, 28]);

for (const scheme of values.schemes.split(",")) {
  const shown = [];
  for (const way of values.ways.split(",")) {
    const started = process.cpuUsage();
    if (way === "full") {
      report({ way, scheme: "fp32", mse: 0, ...distances(full.results) });
      continue;
    }
    const [recipe, options] = ways[way];
    const { job, kept, first } = net.quantized(trajectory, recipe, scheme, { ...options, asym: values.asym }, seed);
    const used = process.cpuUsage(started);
    const finished = new FinishedNetwork(job, job.results);
    const sampled = net.sample(images, { seed: NOISE, batch, run: (ports) => finished.run(ports) }).results;
    finished[Symbol.dispose]();
    if (way === "rtn" || way === "tfmq") shown.push(sampled);
    const mismatch = net.mismatches(job);
    const runtime = await inRuntime(job, kept, sampled);
    report({
      ...{ way, scheme, mse: meanSquare(sampled, full.results), mismatch: mismatch.share },
      projections: mismatch.projections,
      ...(runtime !== null && { runtime }),
      ...distances(sampled),
      layers: kept.weights.size,
      tables: kept.inputGrids.size,
      bits: meanBits(job, kept),
      temporal: first?.lossAfter?.total ?? null,
      cpuSeconds: Math.round((used.user + used.system) / 1e6),
    });
  }
  if (values.grid !== undefined) writeGrid(scheme, shown);
}

function report(line) {
  const record = {
    ...place,
    ...line,
    set: values.set,
    machine: device === "cpu" ? `${cpus()[0].model}, ${values.threads} thread` : device,
    date: new Date().toISOString().slice(0, 10),
  };
  console.log(JSON.stringify(record));
  if (values.json !== undefined) appendFileSync(values.json, `${JSON.stringify(record)}\n`);
}

/** The squared error of what onnxruntime makes of the written file to what was simulated. */
async function inRuntime(job, kept, sampled) {
  const count = Math.min(images, Number(values.runtime));
  if (count === 0) return null;
  const theirs = await sampledInOnnxRuntime(
    net,
    { content: net.content, job, kept },
    { images: count, seed: NOISE, batch },
  );
  return meanSquare(theirs, sampled.slice(0, theirs.length));
}

function distances(sampled) {
  if (features === null) return {};
  const found = features.of(normalized(sampled.map((value) => (value + 1) / 2)), [1, 28, 28]);
  return { frechet: frechetDistance(found, reals) };
}

/** Bits of a weight on average, layers in full precision at 32. */
function meanBits(job, kept) {
  let [bits, count] = [0, 0];
  for (const { module, rows, columns } of job.network.units.flatMap((unit) => unit.layers)) {
    const own = kept.weights.get(module);
    bits += rows * columns * (own === undefined ? 32 : job.scheme.bits);
    count += rows * columns;
  }
  return bits / count;
}

function writeGrid(scheme, shown) {
  const columns = Math.min(10, images);
  const size = full.results.length / images;
  const rows = [full.results, ...shown].map((all) => ({ images: columns, values: all.slice(0, columns * size) }));
  writeFileSync(join(values.grid, `${values.kind}-${scheme}.png`), encodePng(sampleGrid(rows, net.shape)));
}

function testImages(count) {
  const bytes = gunzipSync(readFileSync(join(values.data, "t10k-images-idx3-ubyte.gz"))).subarray(16);
  return normalized(Float32Array.from(bytes.subarray(0, count * 784), (value) => value / 255));
}

/** As the classifier was trained: bench/brecq/train.py. */
function normalized(pixels) {
  return pixels.map((value) => (value - 0.286) / 0.353);
}

function meanSquare(a, b) {
  return a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length;
}
