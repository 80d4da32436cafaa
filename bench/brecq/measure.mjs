// BRECQ by blocks and by layers, and rounding to nearest, on a network whose images lie beside it as raw float32.
// usage: node bench/brecq/measure.mjs --network DIR [--model model.onnx] [--schemes W4A8,W4A4,W2A8,W2A16] [--methods rtn,layer,block]
//   [--examples 256] [--tests 10000] [--set JSON of brecq.*] [--symmetric] [--out FILE] [--device cpu]
// DIR has model.onnx, train.images, test.images and, where they are known, test.labels (bytes, or uint16).
// Prints a line of JSON for each result, and appends it to --out. Methods: rtn, layer, block, paper (block, with the
// paper's preset), and NAME=JSON for options of one's own.
import { appendFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { mergeOptions } from "../../dist/recipe/options/merge-options.js";
import { openNetwork } from "./open-network.mjs";
import { codeBytes, outputs, quantized } from "./quantized-graph.mjs";
import { scores } from "./scores.mjs";

const { values } = parseArgs({
  options: {
    network: { type: "string" },
    model: { type: "string", default: "model.onnx" },
    schemes: { type: "string", default: "W4A8,W4A4,W2A8,W2A16" },
    methods: { type: "string", default: "rtn,layer,block" },
    examples: { type: "string", default: "256" },
    tests: { type: "string", default: "10000" },
    set: { type: "string", default: "{}" },
    symmetric: { type: "boolean", default: false },
    device: { type: "string", default: "cpu" },
    out: { type: "string" },
  },
});
const { folder, folded, images, tests, jobOf, labels, ...opened } = openNetwork(values);
const reference = outputs(jobOf("W8A16", {}), tests, "full");
const classes = opened.classes(reference);
report({
  method: "full precision",
  scheme: "fp32",
  ...scores(reference, reference, classes, labels),
  folded: folded.length,
});
for (const scheme of values.schemes.split(",")) {
  for (const method of values.methods.split(/,(?![^{]*\})/)) {
    const { name, options, preset } = optionsOf(method);
    const started = performance.now();
    const { job, events } = quantized(jobOf(scheme, mergeOptions({ brecq: JSON.parse(values.set) }, options), preset));
    const seconds = Math.round((performance.now() - started) / 1000);
    const warnings = events
      .filter(({ event }) => event === "warning")
      .map(({ message, where }) => `${where}: ${message}`);
    report({
      ...{ method: name, scheme, ...scores(reference, outputs(job, tests, "quantized"), classes, labels) },
      ...{ bytes: codeBytes(job), seconds, ...(warnings.length > 0 && { warnings }) },
    });
  }
}

function optionsOf(method) {
  const at = method.indexOf("=");
  if (at > 0) return { name: method.slice(0, at), options: { brecq: JSON.parse(method.slice(at + 1)) } };
  const known = { rtn: { epochs: 0, inputs: { order: "together" } }, layer: { unit: "layer" }, block: {}, paper: {} };
  const own = known[method];
  if (own === undefined) throw new TypeError(`no method ${method}`);
  return { name: method, options: { brecq: own }, preset: method === "paper" ? "paper" : "default" };
}

function report(result) {
  const place = { network: basename(folder), device: values.device, examples: images.count, tests: tests.count };
  const line = JSON.stringify({ ...place, ...result });
  console.log(line);
  if (values.out !== undefined) appendFileSync(values.out, `${line}\n`);
}
