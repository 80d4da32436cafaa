// Writes docs/measurements/diffusion.md from the lines that measure.mjs made.
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
  .map((line) => JSON.parse(line));
/** The last measurement of each way counts. */
const records = [...new Map(lines.map((line) => [`${line.kind} ${line.scheme} ${line.way}`, line])).values()];

const networks = {
  ddpm: [
    "DDPM of Fashion-MNIST",
    "a U-Net of 0.8 M weights, trained by `bench/tfmq/train_ddpm.py`; DDIM without noise",
  ],
  terrain: [
    "Terrain consistency U-Net",
    "an ADM U-Net of 10.5 M weights with 55 projections; multi-step consistency sampling",
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

const text = ["# Diffusion models", ""];
text.push(
  "What quantizing the network of a diffusion model does to its images, and what each half of TFMQ-DM adds ([guide](../guide/diffusion.md)).",
  "Images are sampled from the same noise, which nothing was calibrated on; MSE is that of final images, from -1 to 1, against full precision.",
  "Mismatch is the share of projections and steps whose quantized embedding is nearer, by its angle, to that of another step. The Frechet distance is",
  "that to test images of Fashion-MNIST, in what the last layer of a ResNet-18 reads (`bench/brecq/train.py`).",
  "",
);
for (const kind of Object.keys(networks)) {
  const own = records.filter((record) => record.kind === kind);
  if (own.length === 0) continue;
  const [title, about] = networks[kind];
  const [{ steps, images, calibration, machine }] = own;
  const date = own
    .map((record) => record.date)
    .sort()
    .at(-1);
  text.push(
    `## ${title}`,
    "",
    `${about[0].toUpperCase()}${about.slice(1)}. ${steps} steps, ${images} images, calibrated on ${calibration} others.`,
    "",
  );
  text.push(
    `Measured on ${machine}, ${date}, by \`node bench/tfmq/measure.mjs --kind ${kind} --steps ${steps} --images ${images} --calibration ${calibration}\`.`,
    "",
  );
  for (const set of new Set(own.map((record) => record.set ?? "{}"))) {
    const schemes = [
      ...new Set(
        own.filter((record) => (record.set ?? "{}") === set && record.way !== "full").map(({ scheme }) => scheme),
      ),
    ];
    if (set !== "{}") text.push(`${schemes.join(", ")} with \`--set '${set}'\`.`, "");
  }
  const distances = own.some((record) => record.frechet !== undefined);
  text.push(`| | scheme | bits a weight | MSE | mismatch |${distances ? " Frechet distance |" : ""} CPU seconds |`);
  text.push(`|---|---|---|---|---|${distances ? "---|" : ""}---|`);
  const order = (record) => Object.keys(names).indexOf(record.way);
  for (const record of own.sort((a, b) => a.scheme.localeCompare(b.scheme) || order(a) - order(b))) {
    const { way, scheme, bits, mse, mismatch, frechet, cpuSeconds } = record;
    const cells = [names[way], scheme, bits?.toFixed(2) ?? "32", way === "full" ? "0" : mse.toExponential(2)];
    cells.push(mismatch === undefined ? "0 %" : `${(100 * mismatch).toFixed(1)} %`);
    if (distances) cells.push(frechet?.toFixed(3) ?? "");
    text.push(`| ${[...cells, cpuSeconds ?? ""].join(" | ")} |`);
  }
  text.push("");
  if (kind === "ddpm") {
    text.push(
      "![Samples: full precision, round to nearest at W4A8, tfmq at W4A8](diffusion-w4a8.png)",
      "",
      "Samples from the same noise, by `--grid`: full precision, round to nearest at W4A8, and `tfmq` at W4A8, a row each. Where quantization sends a sample",
      "another way, as the fourth one here, that weighs in the MSE like many small errors, and the Frechet distance does not see it. At W4A8 both halves",
      "together have more such samples than either alone, for which no reason is known yet: by the MSE they are worse there, by the other two measures better.",
      "",
    );
  }
}
text.push(
  "The paper has CIFAR-10 and LSUN at W4A8: a Frechet inception distance of 4.78 where Q-Diffusion has 4.98 (CIFAR-10), and 3.68 where full precision has 2.98",
  "(bedrooms); its ablation gains 4.5 by TIAR and 3.3 by FSC. Those networks and data sets can't be had here, so the order of the ablation is what can be compared.",
  "",
);
writeFileSync(page, text.join("\n"));
