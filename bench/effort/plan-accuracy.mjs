// What plans say of time, and what the runs then take: ten configurations, about twelve minutes on two quiet cores. Writes the
// table of docs/measurements/plan.md; fails where fewer than nine in ten are within 30 %.
// usage: node bench/effort/plan-accuracy.mjs --smollm2 DIR [--text PATH] [--device cpu] [--only NAME] [--entry dist/cli/main.js] [--dry]
// --smollm2: the folder of SmolLM2-135M. --text: calibration text, where the bundled model's can't be fetched. --only: one
// configuration, which prints its line and writes nothing; so does --dry for all.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fetchSotu } from "../../scripts/fetch/fetch-sotu.mjs";
import { machineName, timedRun } from "./timed-run.mjs";

const { values } = parseArgs({
  options: {
    smollm2: { type: "string" },
    text: { type: "string" },
    device: { type: "string", default: "cpu" },
    only: { type: "string" },
    entry: { type: "string" },
    dry: { type: "boolean", default: false },
  },
});
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DOCUMENT = join(ROOT, "docs/measurements/plan.md");
const BOUND = 0.3;
const small = join(ROOT, "models/sotu-llama-7m");
const text = (samples, context) => ["--samples", `${samples}`, "--context", `${context}`];
const set = (...settings) => ["--set", ...settings];

/** Name, model and arguments. */
const CONFIGURATIONS = [
  ["7M, W2A16g64 asym, cbq, quick", small, ["--scheme", "W2A16g64", "--asym", "--effort", "quick"]],
  [
    "7M, W3A16g64, cbq, 2 end-to-end epochs",
    small,
    ["--scheme", "W3A16g64", ...text(16, 512), ...set("window.epochs=3", "endToEnd.epochs=2")],
  ],
  ["7M, W4A4, cbq", small, ["--scheme", "W4A4", "--finish", "none", ...text(16, 512), ...set("window.epochs=4")]],
  [
    "7M, W3A16g64, efficient-qat, quick",
    small,
    ["--scheme", "W3A16g64", "--recipe", "efficient-qat", "--effort", "quick"],
  ],
  ["7M, W4A16g64, gptq", small, ["--scheme", "W4A16g64", "--recipe", "gptq", ...text(64, 512)]],
  ["7M, W3A16g64, norm-tweaking", small, ["--scheme", "W3A16g64", "--recipe", "norm-tweaking", ...text(32, 512)]],
  ["135M, W4A16g64, rtn", null, ["--scheme", "W4A16g64", "--recipe", "rtn"]],
  ["135M, W4A16g64, gptq", null, ["--scheme", "W4A16g64", "--recipe", "gptq", ...text(8, 512)]],
  [
    "135M, W4A16g64, cbq",
    null,
    ["--scheme", "W4A16g64", "--finish", "none", ...text(8, 512), ...set("window.epochs=2")],
  ],
  [
    "135M, W3A16g64, cbq, an end-to-end epoch",
    null,
    ["--scheme", "W3A16g64", ...text(8, 512), ...set("window.epochs=1", "endToEnd.epochs=1")],
  ],
];

const chosen = CONFIGURATIONS.filter(([name]) => values.only === undefined || name === values.only);
if (chosen.length === 0) throw new Error(`--only is one of ${CONFIGURATIONS.map(([name]) => name).join("; ")}`);
if (values.smollm2 === undefined && chosen.some(([, model]) => model === null)) {
  throw new Error("--smollm2 names the folder of SmolLM2-135M");
}
const entry = values.entry ?? join(ROOT, "dist/cli/main.js");
const calibration = values.text ?? (await fetchSotu()).train;
const folder = mkdtempSync(join(tmpdir(), "crossblock-plan-"));
const shown = (seconds) =>
  `${seconds < 100 ? seconds.toFixed(0) : (seconds / 60).toFixed(1)} ${seconds < 100 ? "s" : "min"}`;
let within = 0;
const rows = [];
try {
  for (const [name, model, given] of chosen) {
    const places = [
      "--calibration",
      calibration,
      "--out",
      join(folder, "out"),
      "--device",
      values.device,
      "--force",
      "--fresh",
    ];
    const { events, cpuSeconds } = timedRun(entry, ["quantize", model ?? values.smollm2, ...given, ...places]);
    const { estimate } = events.find(({ event }) => event === "plan");
    const { seconds } = events.at(-1);
    const off = estimate.seconds / seconds - 1;
    if (Math.abs(off) <= BOUND) within++;
    const range = estimate.range.map(shown).join(" to ");
    const percent = `${off < 0 ? "" : "+"}${(off * 100).toFixed(0)} %`;
    const row = `| ${name} | ${shown(estimate.seconds)} | ${range} | ${shown(seconds)} | ${percent} |`;
    rows.push(row);
    process.stdout.write(
      `${row} load ${(estimate.load * 100).toFixed(0)} %, ${cpuSeconds.toFixed(0)} s of processors\n`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(`${within} of ${rows.length} within ${BOUND * 100} %\n`);
if (values.only === undefined && !values.dry) {
  const date = new Date().toISOString().slice(0, 10);
  const table = [
    `Measured on ${machineName(values.device)}, ${date}, by \`node bench/effort/plan-accuracy.mjs\`.`,
    "",
    `<!-- figures: plan-accuracy${values.device === "cpu" ? "" : "-gpu"} -->`,
    "| run | planned | range | taken | off |",
    "|---|---|---|---|---|",
    ...rows,
  ].join("\n");
  const mark = `plan-accuracy ${values.device === "cpu" ? "cpu" : "gpu"}`;
  const marked = new RegExp(`(<!-- ${mark} -->\n)[\\s\\S]*(<!-- /${mark} -->)`);
  const former = readFileSync(DOCUMENT, "utf8");
  writeFileSync(
    DOCUMENT,
    former.replace(marked, (_all, begin, end) => `${begin}${table}\n${end}`),
  );
}
process.exitCode = within >= Math.ceil(rows.length * 0.9) ? 0 : 1;
