// Writes docs/measurements/diffusion.md from the lines that measure.mjs made: those of several seeds as a mean and its spread.
// usage: node bench/tfmq/page.mjs RESULTS.jsonl [PAGE]
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const [file, page = join(ROOT, "docs/measurements/diffusion.md")] = process.argv.slice(2);
const lines = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => ({ seed: 1, set: "{}", ...JSON.parse(line) }));

const networks = {
  ddpm: [
    "DDPM of Fashion-MNIST",
    "A U-Net of 0.8 M weights, trained by `bench/tfmq/train_ddpm.py`, sampled by DDIM without noise, or by DDPM.",
  ],
  terrain: [
    "Terrain consistency U-Net",
    "An ADM U-Net of 10.5 M weights with 55 projections for images of 128 x 128, by multi-step consistency sampling.",
  ],
};
const names = {
  full: "full precision",
  rtn: "round to nearest, one range for all steps",
  brecq: "AdaRound block by block, one range for all steps",
  tiar: "with TIAR",
  fsc: "with FSC",
  tfmq: "`tfmq`: with both",
};
/** Measured under the same conditions, in a table of their own. */
const place = ({ kind, sampler, steps, images, calibration, machine }) =>
  JSON.stringify({ kind, sampler, steps, images, calibration, machine });
const row = ({ scheme, way, set, asym = false }) => {
  const { biases = true, temporalSteps = null } = JSON.parse(set);
  return JSON.stringify({ scheme, way, biases, temporalSteps, asym });
};

function grouped(all, key) {
  const groups = new Map();
  for (const each of all) groups.set(key(each), [...(groups.get(key(each)) ?? []), each]);
  return [...groups.values()];
}

/** The mean of what several seeds gave, and the least and the most. */
function spread(values, told) {
  if (values.some((value) => value === undefined)) return "";
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length === 1) return told(mean);
  return `${told(mean)} (${told(Math.min(...values))} to ${told(Math.max(...values))})`;
}

function table(records) {
  const [{ machine }] = records;
  const distances = records.some(({ frechet }) => frechet !== undefined);
  const seconds = records.every(({ machine }) => machine.includes("thread"));
  const head = ["", "scheme", "bits a weight", "MSE", "mismatch"];
  if (distances) head.push("Frechet distance");
  const runtime = records.some((record) => record.runtime !== undefined);
  if (runtime) head.push("onnxruntime to simulation");
  if (seconds) head.push("CPU seconds");
  const order = ([{ scheme, way, set, asym = false }]) =>
    `${scheme === "fp32" ? 0 : scheme} ${asym} ${Object.keys(names).indexOf(way)} ${set.includes("biases")}`;
  const rows = grouped(records, row).sort((a, b) => (order(a) < order(b) ? -1 : 1));
  const cells = rows.map((seeds) => {
    const [{ way, scheme, bits, set, asym }] = seeds;
    const of = (key, told) =>
      spread(
        seeds.map((each) => each[key]),
        told,
      );
    const { biases, temporalSteps } = JSON.parse(set);
    const name = [
      names[way],
      ...(biases === false ? ["biases as they were"] : []),
      ...(asym === true ? ["zero points"] : []),
      ...(machine.startsWith("an NVIDIA") && temporalSteps !== undefined
        ? [`${temporalSteps} steps of the embedding`]
        : []),
    ].join(", ");
    const own = [name, scheme, bits?.toFixed(2) ?? "32", way === "full" ? "0" : of("mse", (x) => x.toExponential(2))];
    own.push(way === "full" ? "0 %" : of("mismatch", (x) => `${(100 * x).toFixed(1)} %`));
    if (distances) own.push(of("frechet", (x) => x.toFixed(2)));
    if (runtime) own.push(of("runtime", (x) => x.toExponential(1)));
    if (seconds) own.push(of("cpuSeconds", (x) => x.toFixed(0)));
    return own;
  });
  return [head, head.map(() => "---"), ...cells].map((each) =>
    `| ${each.join(" | ")} |`.replace(/\| {2}(?=\|)/g, "| "),
  );
}

/** What all records of a table were measured with beside what its rows say. */
function measured(records) {
  const [{ kind, sampler, steps, images, calibration, machine }] = records;
  const date = records.map((record) => record.date).sort();
  const seeds = [...new Set(records.map(({ seed }) => seed))].sort();
  const sets = [...new Set(records.filter(({ way }) => way !== "full" && way !== "rtn").map(({ set }) => set))].map(
    (set) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(set)).filter(([key]) => key !== "biases"))),
  );
  const flags = [`--kind ${kind}`, ...(sampler === undefined ? [] : [`--sampler ${sampler}`]), `--steps ${steps}`];
  flags.push(`--images ${images}`, `--calibration ${calibration}`);
  if (seeds.length > 1) flags.push(`--seed ${seeds.join("|")}`);
  for (const set of new Set(sets)) if (set !== "{}") flags.push(`--set '${set}'`);
  return `Measured on ${machine}, ${date.at(-1)}, by \`node bench/tfmq/measure.mjs ${flags.join(" ")}\`.`;
}

const text = [
  "# Diffusion models",
  "",
  "What quantizing the network of a diffusion model does to its images, and what each half of TFMQ-DM adds ([guide](../guide/diffusion.md)).",
  "Images are sampled from the same noise, which nothing was calibrated on; MSE is that of final images, from -1 to 1, against full precision.",
  "Mismatch is the share of projections and steps whose quantized embedding is nearer, by its angle, to that of another step. The Frechet distance is",
  "that to test images of Fashion-MNIST, in what the last layer of a ResNet-18 reads (`bench/brecq/train.py`). Where several seeds of the calibration",
  "were measured, a row has their mean, the least and the most. Onnxruntime to simulation is the MSE of 16 images that onnxruntime makes of the written file to those",
  "that we simulate: what is left is sums in another order, and codes that lie between two.",
  "",
];
for (const [kind, [title, about]] of Object.entries(networks)) {
  const own = lines.filter((record) => record.kind === kind);
  if (own.length === 0) continue;
  text.push(`## ${title}`, "", about, "");
  for (const records of grouped(own, place)) {
    if (records.every(({ way }) => way === "full")) continue;
    text.push(measured(records), "", ...table(records), "");
  }
  if (kind === "ddpm") text.push(...ddpmNotes());
  if (kind === "terrain") text.push(...terrainNotes());
}
text.push(
  "The paper has CIFAR-10 and LSUN at W4A8: a Frechet inception distance of 4.78 where Q-Diffusion has 4.98 (CIFAR-10), and 3.68 where full precision has 2.98",
  "(bedrooms); its ablation gains 4.5 by TIAR and 3.3 by FSC. Those networks and data sets can't be had here, so the order of the ablation is what can be compared.",
  "",
);
writeFileSync(page, text.join("\n"));

function ddpmNotes() {
  return [
    "![Samples: full precision, round to nearest at W4A8, tfmq at W4A8](diffusion-w4a8.png)",
    "",
    "On the CPU rows of one number are of seed 1, TIAR's at W4A8 with corrected biases of seed 2.",
    "",
    "Samples from the same noise, by `--grid`: full precision, round to nearest at W4A8, and `tfmq` at W4A8, a row each.",
    "",
    "At W8A8 FSC is what counts: half the MSE of block by block, and a tenth of round to nearest's. TIAR alone gains nothing there, where embeddings are not mistaken anyway.",
    "At W4A8 it ends their mismatch, and both together have the least MSE in the mean of three seeds. With ten steps of DDIM they are as near to real images as full precision is, to 3, 5 and 9 %",
    "with three seeds of 1,000 images, and to 3 and 10 % with two of 256, where the distance itself is less certain. The Frechet distances of the four ways overlap from seed to seed: this network",
    "does not have the paper's order by it. With 50 steps both together are 8 % behind full precision by DDPM, and 11 % by DDIM; with 8 passes where the default is 20 they were 13 and 18 % behind, so it is",
    "steps of training that the distance wants.",
    "",
    "The MSE of one seed at W4A8 says little of a way: it is led by one number, by how much the noise that is predicted is off on average. An error of 4e-3 of its deviation, the",
    "same way at each step, makes all images darker or brighter, and rounding gives one or another by chance. So `tfmq` corrects biases behind its training",
    "(`tfmq.biases`), which the paper does not, and which leaves an eighth of the MSE with the same seed. Darker images have a smaller Frechet distance here than those of full",
    "precision, which are too bright: it does not see such an error as one.",
    "",
  ];
}

function terrainNotes() {
  return [
    "Mismatch is told among 300 noise levels that lie 3.6 % apart. Rounded to nearest on one range for all steps, W8A8 is no better than W4A8: it is ranges of inputs that lose these images, more than",
    "the bits of weights. So FSC gains most, and at W8A8 both together have a sixth of the MSE of block by block. At W4A8 the 55 projections of the embedding are what is left: trained for 2,000 steps their",
    "outputs still lose 0.3 % (0.9 % on one range for all steps), where those of the DDPM lose 0.03 %, and a way that leaves them to their blocks, FSC alone, is ahead.",
    "On the CPU there were few steps and images: 12 examples, on which a block is trained for 24 steps.",
    "",
  ];
}
