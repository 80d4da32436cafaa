// What an effort takes and gives: minutes, perplexity and size of whole commands, added to docs/measurements/effort.json run by run, and
// the table of docs/measurements/effort.md that follows from it. Works from a built dist, in pieces, on several machines.
// usage: node bench/effort/effort-table.mjs --runs '[["DIR","quick","W4A16g64"], ...]' --calibration valid.txt --test test.txt
//   [--name SmolLM2-135M] [--device cpu] [--judge cpu] [--json FILE] [--entry dist/cli/main.js] [--machine TEXT]
// A run is [model folder, effort, scheme]; the effort "source" only measures the model itself. --name: what the table calls it,
// its folder's name by default. --judge: the device that measures perplexity, by default the run's own. --test: left out, no perplexity is measured. --plan: only what --dry-run says is recorded, for runs
// that take hours. Without --runs the page is written anew from the file.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { formatRange } from "../../dist/run/plan/time/range-text.js";
import { machineName, timedRun } from "./timed-run.mjs";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "[]" },
    calibration: { type: "string" },
    test: { type: "string" },
    name: { type: "string" },
    device: { type: "string", default: "cpu" },
    judge: { type: "string" },
    json: { type: "string" },
    entry: { type: "string" },
    machine: { type: "string" },
    plan: { type: "boolean", default: false },
  },
});
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const FILE = values.json ?? join(ROOT, "docs/measurements/effort.json");
const PAGE = join(ROOT, "docs/measurements/effort.md");
const entry = values.entry ?? join(ROOT, "dist/cli/main.js");
const runs = JSON.parse(values.runs);
const records = readRecords();

/** @returns {any[]} */
function readRecords() {
  try {
    return JSON.parse(readFileSync(FILE, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}

function perplexity(model) {
  if (values.test === undefined) return null;
  const { events } = timedRun(entry, [
    "eval",
    model,
    "--text",
    values.test,
    "--context",
    "2048",
    "--device",
    values.judge ?? values.device,
  ]);
  return events.find(({ event }) => event === "perplexity").value;
}

for (const [model, effort, scheme] of runs) {
  const machine = values.machine ?? machineName(values.device);
  const same = {
    model: values.name ?? basename(resolve(model)),
    effort,
    scheme: effort === "source" ? null : scheme,
    machine,
  };
  const date = new Date().toISOString().slice(0, 10);
  const folder = mkdtempSync(join(tmpdir(), "crossblock-effort-"));
  try {
    let taken = { seconds: null, cpuSeconds: null, planned: null, bytes: null };
    const out = join(folder, "out");
    if (values.plan) {
      const text = values.calibration === undefined ? [] : ["--calibration", values.calibration];
      const given = ["--scheme", scheme, "--effort", effort, "--device", values.device, "--out", out, "--dry-run"];
      const { events } = timedRun(entry, ["quantize", model, ...given, ...text]);
      taken.planned = events.find(({ event }) => event === "plan").estimate.range;
    } else if (effort !== "source") {
      const given = [
        "--scheme",
        scheme,
        "--effort",
        effort,
        "--format",
        "gguf",
        "--device",
        values.device,
        "--out",
        out,
      ];
      const text = values.calibration === undefined ? [] : ["--calibration", values.calibration];
      const { events, seconds, cpuSeconds } = timedRun(entry, ["quantize", model, ...given, ...text]);
      const { path } = events.find(({ event, format }) => event === "exported" && format === "gguf");
      const { range } = events.find(({ event }) => event === "plan").estimate;
      taken = { seconds, cpuSeconds, planned: range, bytes: statSync(path).size };
    }
    const record = {
      ...same,
      date,
      ...taken,
      perplexity: values.plan ? null : perplexity(effort === "source" ? model : out),
    };
    const others = Object.entries(same);
    const at = records.findIndex((each) => others.every(([key, value]) => each[key] === value));
    if (at === -1) records.push(record);
    else records[at] = record;
    writeFileSync(FILE, `${JSON.stringify(records, null, 2)}\n`);
    process.stdout.write(`${JSON.stringify(record)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.json === undefined) {
  const former = readFileSync(PAGE, "utf8");
  const machines = [...new Set(records.map(({ machine }) => machine))];
  const tables = machines.map((machine) => {
    const of = records.filter((record) => record.machine === machine);
    const date = of
      .map((record) => record.date)
      .sort()
      .at(-1);
    const rows = of.map(({ model, effort, scheme, seconds, planned, perplexity: value, bytes }) => {
      const cells = [
        [model, ...(scheme === null ? ["full precision"] : [scheme, effort])].join(", "),
        seconds !== null
          ? `${(seconds / 60).toFixed(1)} min`
          : planned === null
            ? ""
            : `${formatRange(planned)} (planned)`,
        value === null ? "" : value.toFixed(2),
        bytes === null ? "" : (bytes / 1e6).toFixed(0),
      ];
      return `| ${cells.join(" | ")} |`;
    });
    return [
      `Measured on ${machine}, ${date}, by \`node bench/effort/effort-table.mjs\`.`,
      "",
      "| | time | perplexity | GGUF, MB |",
      "|---|---|---|---|",
      ...rows,
    ].join("\n");
  });
  const filled = former.replace(
    /(<!-- efforts -->\n)[\s\S]*(<!-- \/efforts -->)/,
    (_all, begin, end) => `${begin}${tables.join("\n\n")}\n${end}`,
  );
  writeFileSync(PAGE, filled);
}
