// The accuracy table of docs/results.md: every cell is a process of its own, several at once where asked for.
// usage: node bench/accuracy.mjs [--device cuda:0] [--jobs 8] [--only W2A16g64] [--text FOLDER]
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs, promisify } from "node:util";
import { fetchSotu } from "../scripts/fetch-sotu.mjs";

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "cpu" },
    jobs: { type: "string", default: "1" },
    only: { type: "string" },
    text: { type: "string" },
    epochs: { type: "string" },
  },
});
const run = promisify(execFile);
const text =
  values.text === undefined
    ? await fetchSotu()
    : { train: `${values.text}/train.jsonl`, test: `${values.text}/test.jsonl` };
const jobs = Number(values.jobs);

const schemes = [
  { scheme: "W2A16g64", asym: true, epochs: 12 },
  { scheme: "W2A16", asym: true, epochs: 12 },
  { scheme: "W3A16", asym: true, epochs: 8 },
  { scheme: "W4A4", asym: false, epochs: 8 },
  { scheme: "W2A16g64", asym: false, epochs: 12 },
];
const methods = {
  RTN: { recipe: "rtn" },
  GPTQ: { recipe: "gptq" },
  "LoRA r=5": { recipe: "cbq", rounding: "lora" },
  AdaRound: { recipe: "cbq", rounding: "adaround" },
  "code-unit": { recipe: "cbq", rounding: "code" },
};

const cells = schemes
  .filter(({ scheme }) => values.only === undefined || scheme === values.only)
  .flatMap((row) =>
    Object.entries(methods).map(([name, { recipe, rounding }]) => ({
      row,
      name,
      job: {
        name,
        model: "models/sotu-llama-7m",
        text,
        context: 512,
        samples: 256,
        evalContext: 512,
        device: values.device,
        threads: Math.max(1, Math.floor(availableParallelism() / jobs)),
        scheme: row.scheme,
        asym: row.asym,
        recipe,
        set:
          rounding === undefined
            ? {}
            : { rounding: { kind: rounding }, window: { epochs: Number(values.epochs ?? row.epochs) } },
      },
    })),
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
      process.stderr.write(
        `${cell.row.scheme} ${cell.row.asym ? "asym" : "sym"} ${cell.name}: ${result.ppl} (${result.seconds} s)\n`,
      );
    }
  }),
);

const names = Object.keys(methods);
console.log(`| | ${names.join(" | ")} |\n|---|${names.map(() => "---").join("|")}|`);
for (const row of new Set(cells.map((cell) => cell.row))) {
  const columns = names.map(
    (name) => results.get(cells.find((cell) => cell.row === row && cell.name === name))?.ppl ?? "",
  );
  console.log(`| ${row.scheme} ${row.asym ? "asym" : "sym"} | ${columns.join(" | ")} |`);
}
