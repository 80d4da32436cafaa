// Methods of language models side by side: every cell quantizes a model by the command line and judges the written folder: perplexity
// and KL divergence from the model itself, seconds of the whole command, memory. Prints one line of JSON a cell, and with --json adds
// it to a file that page.mjs makes tables of; cells that are there already are not run again.
// usage: node bench/methods/measure.mjs --model DIR --name SmolLM2-135M --cells '[["cbq","W2A16g64",0], ...]' --calibration valid.txt
//   --test test.txt --json FILE [--samples 128] [--context 1024] [--device cpu] [--jobs 1] [--beside N] [--until SECONDS] [--entry dist/cli/main.js]
// A cell is [recipe, scheme, seed] and, where a row shall have a name and options of its own, [recipe, scheme, seed, name, [arguments]].
// --jobs: cells that run side by side, which the record says; --beside: how many other runs there are, where others began them. --until: no cell is begun after so many seconds.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { machineName } from "../effort/timed-run.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    name: { type: "string" },
    cells: { type: "string" },
    calibration: { type: "string" },
    test: { type: "string" },
    json: { type: "string" },
    samples: { type: "string", default: "128" },
    context: { type: "string", default: "1024" },
    device: { type: "string", default: "cpu" },
    jobs: { type: "string", default: "1" },
    beside: { type: "string" },
    until: { type: "string", default: "Infinity" },
    entry: { type: "string" },
  },
});
const entry = values.entry ?? join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "dist/cli/main.js");
const started = performance.now();
const run = promisify(execFile);
const machine = machineName(values.device);
const workers = Number(values.jobs);
const beside = values.beside === undefined ? workers - 1 : Number(values.beside);
const waiting = JSON.parse(values.cells).filter((cell) => !readRecords().some((record) => isSame(record, cell)));

await Promise.all(Array.from({ length: workers }, worker));

async function worker() {
  while (waiting.length > 0 && (performance.now() - started) / 1000 < Number(values.until)) {
    const cell = waiting.shift();
    try {
      const record = await measured(cell);
      process.stdout.write(`${JSON.stringify(record)}\n`);
      // Read again, because other workers and other processes write to the file too.
      if (values.json !== undefined)
        writeFileSync(values.json, `${JSON.stringify([...readRecords(), record], null, 2)}\n`);
    } catch (error) {
      process.stdout.write(`${JSON.stringify({ cell, failed: String(error.stderr ?? error).slice(-600) })}\n`);
    }
  }
}

function readRecords() {
  return values.json !== undefined && existsSync(values.json) ? JSON.parse(readFileSync(values.json, "utf8")) : [];
}

function isSame({ model, method, scheme, seed }, [recipe, askedScheme, askedSeed, row = recipe]) {
  return model === values.name && method === row && scheme === askedScheme && seed === askedSeed;
}

async function measured([recipe, scheme, seed, method = recipe, given = []]) {
  const folder = mkdtempSync(join(tmpdir(), "crossblock-methods-"));
  try {
    const out = join(folder, "out");
    const text = ["--calibration", values.calibration, "--samples", values.samples, "--context", values.context];
    const drawn = recipe === "rtn" ? [] : [...text, "--seed", String(seed), "--effort", "normal"];
    const options = ["--recipe", recipe, "--scheme", scheme, "--asym"];
    const places = ["--out", out, "--device", values.device, "--no-report", "--no-score"];
    const events = await command(["quantize", values.model, ...options, ...drawn, ...places, ...given]);
    const done = events.find(({ event }) => event === "done");
    const { range, ...plan } = events.find(({ event }) => event === "plan").estimate;
    const judge = ["--text", values.test, "--context", "2048", "--reference", values.model, "--device", values.device];
    const judged = await command(["eval", out, ...judge]);
    const { perplexity, referencePerplexity, divergence } = judged.find(({ event }) => event === "reference");
    return {
      model: values.name,
      method,
      scheme,
      seed,
      machine,
      beside,
      date: new Date().toISOString().slice(0, 10),
      perplexity,
      fullPrecision: referencePerplexity,
      kl: divergence.mean,
      seconds: done.seconds,
      planned: range ?? null,
      plannedDeviceBytes: plan.deviceBytes,
      deviceBytes: done.devicePeakBytes,
      hostBytes: done.peakMemoryBytes,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function command(args) {
  const { stdout } = await run(process.execPath, [entry, ...args, "--json"], { maxBuffer: 1 << 28 });
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}
