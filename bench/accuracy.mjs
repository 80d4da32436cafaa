// The accuracy tables of docs/measurements/accuracy.md: every cell is a process of its own, several at once where asked for.
// usage: npm run bench:accuracy -- [--model sotu|smollm2] [--folder DIR] [--text DIR | --tokens DIR] [--device cuda:0]
//   [--jobs 8] [--only W2A16g64] [--methods GPTQ,code-unit] [--seeds 0,1,2] [--epochs N] [--dtype bfloat16] [--set JSON]
// --folder: the model, where it is not the bundled one; --text: train.jsonl and test.jsonl; --tokens: train.bin and test.bin
// of int32 ids, for a machine without the texts. --set adds options to every cell: what an ablation changes.
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs, promisify } from "node:util";
import { fetchSotu } from "../scripts/fetch/fetch-sotu.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "sotu" },
    folder: { type: "string" },
    device: { type: "string", default: "cpu" },
    jobs: { type: "string", default: "1" },
    only: { type: "string" },
    methods: { type: "string" },
    dtype: { type: "string" },
    text: { type: "string" },
    tokens: { type: "string" },
    seeds: { type: "string", default: "0" },
    epochs: { type: "string" },
    set: { type: "string", default: "{}" },
  },
});
const run = promisify(execFile);

const methods = {
  RTN: { recipe: "rtn" },
  GPTQ: { recipe: "gptq" },
  "LoRA r=5": { recipe: "cbq", kind: "lora" },
  AdaRound: { recipe: "cbq", kind: "adaround" },
  "code-unit": { recipe: "cbq", kind: "code" },
  // Code-unit rounding, and all scales on the model's output after it.
  default: { recipe: "cbq", kind: "code", finish: true },
};
const protocols = {
  sotu: {
    folder: "models/sotu-llama-7m",
    context: 512,
    samples: 256,
    evalContext: 512,
    dtype: "float32",
    methods: Object.keys(methods),
    // Methods are compared on one network, and as the reference results were made: 8 sequences a step.
    set: { rotation: "none", window: { batch: 8 } },
    // Twelve epochs in all at most.
    finish: (epochs) => ({ window: { epochs: epochs - 2 }, finish: "scales", endToEnd: { epochs: 2 } }),
    rows: [
      { scheme: "W2A16g64", asym: true, epochs: 12 },
      { scheme: "W2A16", asym: true, epochs: 12 },
      { scheme: "W3A16", asym: true, epochs: 8 },
      { scheme: "W4A4", asym: false, epochs: 8 },
      { scheme: "W2A16g64", asym: false, epochs: 12 },
    ],
  },
  smollm2: {
    context: 1024,
    samples: 128,
    evalContext: 2048,
    dtype: values.device === "cpu" ? "float32" : "bfloat16",
    methods: ["RTN", "GPTQ", "code-unit", "default"],
    finish: (epochs) => ({ window: { epochs }, finish: "scales", endToEnd: { epochs: 4 } }),
    rows: [
      { scheme: "W2A16g64", asym: true, epochs: 10 },
      { scheme: "W2A16g64", asym: false, epochs: 10 },
      { scheme: "W3A16g64", asym: false, epochs: 10 },
      { scheme: "W4A16", asym: false, epochs: 10 },
      { scheme: "W4A8", asym: false, epochs: 10 },
      { scheme: "W4A4", asym: false, epochs: 10 },
    ],
  },
};
const protocol = protocols[values.model];
if (protocol === undefined) throw new Error(`--model is one of ${Object.keys(protocols).join(", ")}`);
const model = values.folder ?? protocol.folder;
if (model === undefined) throw new Error("--folder names the folder of the model");

async function calibration() {
  if (values.tokens !== undefined) return { tokens: values.tokens };
  if (values.text !== undefined) {
    return { text: { train: `${values.text}/train.jsonl`, test: `${values.text}/test.jsonl` } };
  }
  if (values.model !== "sotu") throw new Error("--text or --tokens names the calibration and test texts");
  return { text: await fetchSotu() };
}

const merge = (a, b) =>
  Object.fromEntries(
    [...new Set([...Object.keys(a), ...Object.keys(b)])].map((key) => {
      const both = typeof a[key] === "object" && typeof b[key] === "object";
      return [key, both ? merge(a[key], b[key]) : (b[key] ?? a[key])];
    }),
  );

const jobs = Number(values.jobs);
const names = values.methods?.split(",") ?? protocol.methods;
const unknown = names.find((name) => methods[name] === undefined);
if (unknown !== undefined) throw new Error(`--methods: "${unknown}" is none of ${Object.keys(methods).join(", ")}`);
const { context, samples, evalContext } = protocol;
const shared = {
  ...(await calibration()),
  ...{ model, context, samples, evalContext, dtype: values.dtype ?? protocol.dtype, device: values.device },
  threads: Math.max(1, Math.floor(availableParallelism() / jobs)),
};
const cells = protocol.rows
  .filter(({ scheme }) => values.only === undefined || scheme === values.only)
  .flatMap((row) =>
    names.flatMap((name) =>
      values.seeds.split(",").map((seed) => {
        const { recipe, kind, finish = false } = methods[name];
        const epochs = Number(values.epochs ?? row.epochs);
        const stages = finish ? protocol.finish(epochs) : { window: { epochs }, finish: "none" };
        const own = kind === undefined ? {} : { rounding: { kind }, ...stages };
        const set = merge(merge(protocol.set ?? {}, own), JSON.parse(values.set));
        const { scheme, asym } = row;
        return { row, name, job: { ...shared, name, scheme, asym, recipe, seed: Number(seed), set } };
      }),
    ),
  );

const results = new Map();
const queue = [...cells];
await Promise.all(
  Array.from({ length: jobs }, async () => {
    for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
      const { stdout } = await run(process.execPath, ["bench/accuracy-run.mjs", JSON.stringify(cell.job)], {
        maxBuffer: 2 ** 24,
      });
      const result = JSON.parse(stdout.trim().split("\n").at(-1));
      results.set(cell, result);
      const { scheme, asym, seed } = cell.job;
      process.stderr.write(
        `${scheme} ${asym ? "asym" : "sym"} ${cell.name}, seed ${seed}: ${result.ppl} (${result.seconds} s, ${result.deviceGiB ?? result.rssGiB} GiB)\n`,
      );
    }
  }),
);

console.log(`| | ${names.join(" | ")} |\n|---|${names.map(() => "---").join("|")}|`);
for (const row of protocol.rows.filter((candidate) => cells.some((cell) => cell.row === candidate))) {
  const columns = names.map((name) =>
    cells
      .filter((cell) => cell.row === row && cell.name === name)
      .map((cell) => results.get(cell)?.ppl ?? "")
      .join(", "),
  );
  console.log(`| ${row.scheme} ${row.asym ? "asym" : "sym"} | ${columns.join(" | ")} |`);
}
