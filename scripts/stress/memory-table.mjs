/**
 * Compares what the plan says a run will take with what it took, and writes the table into docs/measurements/memory.md:
 * `npm run memory-table [-- --device cuda:0] [--text PATH] [NAME...]`. Every run has a process of its own; rows that were not asked for
 * stay as they are. On the CPU the most memory of the process is compared, on a GPU the most that libtorch had allocated
 * there (2.9 or newer tells).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { engineInfo } from "../../dist/tensor/index.js";
import { fetchSotu } from "../fetch/fetch-sotu.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DOCUMENT = join(ROOT, "docs", "measurements", "memory.md");
const ENTRY = join(ROOT, "dist", "cli", "main.js");
const MODEL = join(ROOT, "models", "sotu-llama-7m");
/** What an estimate may be off by. */
const BOUND = 0.15;

/** How much text a run calibrates on. */
const calibrated = (/** @type {number} */ samples, /** @type {number} */ context) => [
  ...["--samples", `${samples}`, "--context", `${context}`],
];
/** One epoch of windows and one end to end, because another one takes time and no memory. */
const sized = (/** @type {number} */ samples, /** @type {number} */ context, /** @type {string[]} */ ...settings) => [
  ...calibrated(samples, context),
  ...["--set", "window.epochs=1", "endToEnd.epochs=1", ...settings],
];
/**
 * Name and arguments. Products are in the dtype that the machine chooses by itself where nothing is said.
 * @type {readonly (readonly [string, readonly string[]])[]}
 */
const CONFIGURATIONS = [
  ["gptq, 64 x 512", ["--recipe", "gptq", "--scheme", "W4A16g64", ...calibrated(64, 512)]],
  ["cbq, 32 x 512, batch 8", ["--scheme", "W2A16g64", ...sized(32, 512, "window.batch=8")]],
  [
    "cbq, 32 x 512, batch 8 as 4 x 2, streams on disk",
    ["--scheme", "W2A16g64", ...sized(32, 512, "window.batch=8", "window.microBatch=2", "streams.storage=disk")],
  ],
  [
    "cbq, preset paper, W4A4, 16 x 1024",
    ["--preset", "paper", "--scheme", "W4A4", ...calibrated(16, 1024), "--set", "window.epochs=1"],
  ],
  [
    "cbq, AdaRound, asymmetric, windows of 4, 32 x 256",
    [
      ...["--scheme", "W3A16g128", "--asym"],
      ...sized(32, 256, "rounding.kind=adaround", "window.size=4", "window.overlap=2", "window.batch=4"),
    ],
  ],
  ["cbq, W4A4, rotated, 32 x 512", ["--scheme", "W4A4", ...sized(32, 512, "window.batch=8")]],
  ["cbq, W4A8, 32 x 512, batch 16", ["--scheme", "W4A8", ...sized(32, 512, "window.batch=16")]],
  ["cbq, 64 x 512, batch 32", ["--scheme", "W2A16g64", ...sized(64, 512, "window.batch=32")]],
  [
    "the same within --max-memory 700MB",
    ["--scheme", "W2A16g64", "--max-memory", "700MB", ...sized(64, 512, "window.batch=32")],
  ],
  [
    "cbq, W4A8, float32, 64 x 512, batch 16",
    ["--scheme", "W4A8", ...sized(64, 512, "window.batch=16", "compute.dtype=float32")],
  ],
];
/** What only a GPU does. */
const ON_A_GPU = /** @type {const} */ ([
  [
    "cbq, gradients in fp8, 32 x 512, batch 8",
    ["--scheme", "W2A16g64", ...sized(32, 512, "window.batch=8", "compute.gradients=fp8")],
  ],
]);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { device: { type: "string", default: "cpu" }, text: { type: "string" } },
});
const { device } = values;
const onCpu = device === "cpu";
// Other text than the bundled model's is for machines without a registry: a GPU's memory does not depend on it.
const text = values.text ?? (await fetchSotu()).train;
const folder = mkdtempSync(join(tmpdir(), "crossblock-memory-"));
const former = readFileSync(DOCUMENT, "utf8");
const mark = `memory-table ${onCpu ? "cpu" : "gpu"}`;
const marked = new RegExp(`(<!-- ${mark} -->\n)([\\s\\S]*)(<!-- /${mark} -->)`);
const formerRows = (marked.exec(former)?.[2] ?? "").split("\n");
const megabytes = (/** @type {number} */ bytes) => `${Math.round(bytes / 1e6)} MB`;

/** @param {readonly string[]} given @returns {any[]} the events of a process */
function run(given) {
  const out = join(folder, "out");
  const places = ["--calibration", text, "--out", out, "--device", device, "--json", "--force", "--fresh"];
  const { status, stdout, stderr } = spawnSync(process.execPath, [ENTRY, "quantize", MODEL, ...given, ...places], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`${given.join(" ")}: ${stderr}`);
  const lines = stdout.trim().split("\n");
  return lines.map((line) => JSON.parse(line));
}

let worst = 0;
const configurations = onCpu ? CONFIGURATIONS : [...CONFIGURATIONS, ...ON_A_GPU];
for (const name of positionals) {
  if (!configurations.some(([known]) => known === name)) throw new Error(`there is no run "${name}" on ${device}`);
}
const rows = configurations.flatMap(([name, given]) => {
  if (positionals.length > 0 && !positionals.includes(name)) {
    return formerRows.filter((line) => line.startsWith(`| ${name} |`));
  }
  const dry = run([...given, "--dry-run"]);
  const events = run(given);
  const plan = dry.find(({ event }) => event === "plan");
  const limit = given.indexOf("--max-memory");
  const budget = limit === -1 ? Number.POSITIVE_INFINITY : Number.parseInt(given[limit + 1] ?? "", 10) * 1e6;
  const done = events.at(-1);
  const planned = onCpu ? plan.estimate.hostBytes : plan.estimate.deviceBytes;
  const measured = onCpu ? done.peakMemoryBytes : done.devicePeakBytes;
  if (measured === null) throw new Error("this libtorch does not tell how much memory of the device was in use");
  const off = planned / measured - 1;
  const holds = Math.abs(off) <= BOUND && measured <= budget;
  if (!holds) worst++;
  const base = onCpu ? dry.at(-1).peakMemoryBytes : 0;
  const without = onCpu ? ` ${megabytes(base)} |` : "";
  const percent = `${off < 0 ? "" : "+"}${(off * 100).toFixed(0)} %`;
  const row = `| ${name} | ${megabytes(planned)} | ${megabytes(measured)} | ${percent}${holds ? "" : " (too much)"} |${without}`;
  process.stdout.write(`${row}\n`);
  return row;
});
rmSync(folder, { recursive: true });

const gpu = onCpu ? undefined : engineInfo().devices.find((entry) => entry.device === device)?.name;
const machine = `${gpu === undefined ? "" : `${gpu}, `}${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, Node ${process.versions.node}`;
const head = onCpu
  ? ["| run | planned | measured | off | of it before any tensor |", "|---|---|---|---|---|"]
  : ["| run | planned | measured | off |", "|---|---|---|---|"];
const written = `Measured on ${machine}, ${new Date().toISOString().slice(0, 10)}, by \`npm run memory-table${onCpu ? "" : ` -- --device ${device}`}\`.`;
writeFileSync(
  DOCUMENT,
  former.replace(marked, (_all, begin, _rows, end) => `${begin}${[written, "", ...head, ...rows].join("\n")}\n${end}`),
);
process.exitCode = worst === 0 ? 0 : 1;
