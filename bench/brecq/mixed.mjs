// Bits shared out by the genetic search against the same bits everywhere, at the same size or the same latency.
// usage: node bench/brecq/mixed.mjs --network DIR [--mean 4] [--by size|latency] [--table FILE.json] [--widths 2,4,8] [--inputs 16]
//   [--examples 256] [--tests 10000] [--set JSON of brecq.*] [--out FILE]
// The first and the last layer keep 8 bits on both sides and don't count.
import { appendFileSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { geneticAllocation } from "../../dist/recipe/graph/genetic-allocation.js";
import { pinnedBits } from "../../dist/recipe/job/layer-schemes.js";
import { mergeOptions } from "../../dist/recipe/options/merge-options.js";
import { asRecipeWants } from "../../dist/recipe/state/as-recipe-wants.js";
import { openNetwork } from "./open-network.mjs";
import { codeBytes, outputs, quantized } from "./quantized-graph.mjs";
import { scores } from "./scores.mjs";

const { values } = parseArgs({
  options: {
    network: { type: "string" },
    model: { type: "string", default: "model.onnx" },
    mean: { type: "string", default: "4" },
    by: { type: "string", default: "size" },
    table: { type: "string" },
    widths: { type: "string", default: "2,4,8" },
    inputs: { type: "string", default: "16" },
    examples: { type: "string", default: "256" },
    tests: { type: "string", default: "10000" },
    set: { type: "string", default: "{}" },
    symmetric: { type: "boolean", default: false },
    device: { type: "string", default: "cpu" },
    out: { type: "string" },
  },
});
const { folder, jobOf, tests, classes, labels, images } = openNetwork(values);
const scheme = `W${Math.floor(Number(values.mean))}A${values.inputs}`;
const options = { brecq: JSON.parse(values.set) };
const reference = outputs(jobOf("W8A16", {}), tests, "full");
const uniform = jobOf(scheme, options);
const { network, options: wanted } = asRecipeWants(uniform);
const widths = values.widths.split(",").map(Number);
const items = network.units
  .flatMap(({ layers }) => layers)
  .filter(({ module }) => pinnedBits(module, wanted.overrides) === null)
  .map(({ module }) => ({ modules: [module], widths }));
const table = values.table === undefined ? {} : { table: JSON.parse(readFileSync(values.table, "utf8")) };
const started = performance.now();
const search = geneticAllocation({ ...uniform, network }, items, {
  by: values.by,
  most: Number(values.mean),
  ...table,
});
let step = search.next();
while (step.done !== true) step = search.next();
const { bits, loss, cost } = step.value;
const seconds = Math.round((performance.now() - started) / 1000);
for (const [method, given] of [
  [`uniform ${scheme}`, uniform],
  [`genetic by ${values.by}, ${values.mean} bits`, { ...jobOf(scheme, mergeOptions(options, {})), allocation: bits }],
]) {
  const { job } = quantized(given);
  const result = {
    method,
    ...scores(reference, outputs(job, tests, "quantized"), classes(reference), labels),
    bytes: codeBytes(job),
  };
  const found =
    given.allocation === undefined
      ? {}
      : { budget: Number(values.mean), cost, loss, seconds, bits: Object.fromEntries(bits) };
  const line = JSON.stringify({
    network: basename(folder),
    device: values.device,
    examples: images.count,
    tests: tests.count,
    ...result,
    ...found,
  });
  console.log(line);
  if (values.out !== undefined) appendFileSync(values.out, `${line}\n`);
}
