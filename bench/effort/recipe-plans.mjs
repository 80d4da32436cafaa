// What the plan says of every recipe of language models, of time and of memory, and what its run then takes. Prints a row of
// docs/measurements/plan.md a recipe, and with --write puts all into the page; fails where a row is off by more than 30 % (time; memory
// alone with --memory, where other programs take the machine's time) or 15 % (memory: of the device, or of the process on the CPU).
// usage: node bench/effort/recipe-plans.mjs --model DIR --text PATH [--device cpu] [--samples 32] [--context 512] [--only NAME,NAME]
//   [--memory] [--write] [--entry dist/cli/main.js]
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineName, timedRun } from "./timed-run.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    text: { type: "string" },
    device: { type: "string", default: "cpu" },
    samples: { type: "string", default: "32" },
    context: { type: "string", default: "512" },
    only: { type: "string" },
    memory: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    entry: { type: "string" },
  },
});
const { model, text, device, samples, context } = values;
if (model === undefined || text === undefined) throw new Error("give --model DIR and --text PATH");
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const PAGE = join(ROOT, "docs/measurements/plan.md");
const entry = values.entry ?? join(ROOT, "dist/cli/main.js");
const [TIME, MEMORY] = [0.3, 0.15];

/** Name, recipe, scheme and settings. Epochs are cut where they only take time. */
const ROWS = [
  ["rtn", "rtn", "W4A16g64"],
  ["gptq", "gptq", "W4A16g64"],
  ["slim", "slim", "W2A16g64"],
  ["slim+", "slim", "W2A16g64", "slim.clipping=learnt", "slim.epochs=4"],
  ["boa", "boa", "W2A16g64"],
  ["aespa", "aespa", "W2A16g64"],
  ["norm-tweaking", "norm-tweaking", "W3A16g64"],
  ["affine-quant", "affine-quant", "W4A4", "affine.epochs=6"],
  ["l4q", "l4q", "W4A16g64"],
  ["efficient-qat", "efficient-qat", "W3A16g64"],
  ["cbq", "cbq", "W2A16g64", "window.epochs=4"],
  ["cbq", "cbq", "W4A4", "window.epochs=4"],
];
const only = values.only?.split(",");
for (const name of only ?? []) {
  if (!ROWS.some(([known]) => known === name)) throw new Error(`there is no row ${name}`);
}

const folder = mkdtempSync(join(tmpdir(), "crossblock-plans-"));
const rows = [];
let worst = 0;
try {
  for (const [name, recipe, scheme, ...settings] of ROWS) {
    if (only !== undefined && !only.includes(name)) continue;
    const drawn = recipe === "rtn" ? [] : ["--calibration", text, "--samples", samples, "--context", context];
    const options = ["--recipe", recipe, "--scheme", scheme, "--asym", ...drawn];
    const places = [
      "--out",
      join(folder, "out"),
      "--device",
      device,
      "--no-report",
      "--no-score",
      "--force",
      "--fresh",
    ];
    const set = settings.length === 0 ? [] : ["--set", ...settings];
    const { events } = timedRun(entry, ["quantize", model, ...options, ...places, ...set]);
    const { estimate } = events.find(({ event }) => event === "plan");
    const done = events.at(-1);
    const [planned, taken] =
      device === "cpu"
        ? [estimate.hostBytes, done.peakMemoryBytes]
        : [estimate.deviceBytes, done.devicePeakBytes ?? Number.NaN];
    const time = off(estimate.seconds, done.seconds, TIME);
    const memory = off(planned, taken, MEMORY);
    if (memory.over || (time.over && !values.memory)) worst++;
    const seconds = values.memory ? "" : ` ${shown(estimate.seconds)} | ${shown(done.seconds)} | ${time.text} |`;
    rows.push(`| ${name}, ${scheme} |${seconds} ${megabytes(planned)} | ${megabytes(taken)} | ${memory.text} |`);
    process.stdout.write(`${rows.at(-1)}\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (values.write) write();
process.exitCode = worst === 0 ? 0 : 1;

function write() {
  const mark = `recipe-plans ${device === "cpu" ? "cpu" : "gpu"}`;
  const asked = values.memory ? " --memory" : "";
  const head = values.memory
    ? ["| recipe | memory planned | taken | off |", "|---|---|---|---|"]
    : ["| recipe | time planned | taken | off | memory planned | taken | off |", "|---|---|---|---|---|---|---|"];
  const table = [
    `Measured on ${machineName(device)}, ${new Date().toISOString().slice(0, 10)}, by \`node bench/effort/recipe-plans.mjs${asked}\` on ${basename(model)}, ${samples} sequences of ${context} tokens.`,
    "",
    ...head,
    ...rows,
  ].join("\n");
  const marked = new RegExp(`(<!-- ${mark} -->\n)[\\s\\S]*(<!-- /${mark} -->)`);
  const former = readFileSync(PAGE, "utf8");
  if (!marked.test(former)) throw new Error(`${PAGE} has no place for ${mark}`);
  writeFileSync(
    PAGE,
    former.replace(marked, (_all, begin, end) => `${begin}${table}\n${end}`),
  );
}

function off(planned, taken, bound) {
  const share = planned / taken - 1;
  return { over: !(Math.abs(share) <= bound), text: `${share < 0 ? "" : "+"}${(share * 100).toFixed(0)} %` };
}

function shown(seconds) {
  return seconds < 100 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(1)} min`;
}

function megabytes(bytes) {
  return `${Math.round(bytes / 1e6)} MB`;
}
