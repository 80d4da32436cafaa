/**
 * Kills a run with SIGKILL at random moments, continues it each time to its end, and compares the codes with those of
 * a run that was left alone. `npm run test:kill` does so 50 times on the bundled model; `test/run/kill.test.ts` a few times on
 * a tiny one. `npm run test:kill -- KILLS SEED --device cuda:0 --deterministic` takes options of `quantize`.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { codeDifference, differenceText } from "./code-difference.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const ENTRY = join(ROOT, "dist", "cli", "main.js");

/**
 * @param {import("./kill-test.mjs").KillOptions} options
 * @returns {Promise<import("./kill-test.mjs").KillOutcome[]>}
 */
export async function killAndContinue({ kills, seed, arguments: given, moments, report = () => {} }) {
  const folder = mkdtempSync(join(tmpdir(), "crossblock-kill-"));
  const random = randomNumbers(seed);
  try {
    const reference = await run(given, join(folder, "reference"), null);
    if (reference.code !== 0) throw new Error(`the run that is compared with failed: ${reference.errors}`);
    const expected = codesOf(join(folder, "reference"));
    report(`undisturbed: ${reference.events.length} events, ${(reference.milliseconds / 1000).toFixed(1)} s`);
    const outcomes = [];
    for (let i = 0; i < kills; i++) {
      const out = join(folder, `killed-${i}`);
      const moment = moments?.[i]?.(reference.events, random) ?? {
        event: Math.floor(random() * reference.events.length),
        milliseconds: random() * 200,
      };
      const first = await run(given, out, moment);
      const complete = existsSync(join(out, "crossblock.json"));
      const last = first.events.at(-1);
      const second = first.code === 0 ? first : await run(given, out, null);
      const ended = second.code === 0;
      const equal = ended && codesOf(out) === expected;
      const continued = second.events.find(({ event }) => event === "continued");
      const outcome = {
        // A result that is in place has ended, whether or not its process could still say so.
        killed: first.code === null && !complete,
        lastEvent: `${last?.event ?? "none"}${last?.window === undefined ? "" : ` of window ${last.window}`}`,
        windowsDone: first.events.filter(({ event }) => event === "window-done").length,
        continuedBehind: continued?.window ?? 0,
        ended,
        equal,
        difference: ended ? await codeDifference(join(folder, "reference"), out) : null,
        errors: ended ? "" : second.errors,
      };
      outcomes.push(outcome);
      const verdict = equal ? "same codes" : `DIFFERENT ${outcome.errors}`;
      const off = equal || outcome.difference === null ? "" : differenceText(outcome.difference);
      const behind = `continued after window ${outcome.continuedBehind}`;
      report(`${i + 1}: killed after ${outcome.lastEvent}, ${behind}, ${verdict}${off}`);
      rmSync(out, { recursive: true, force: true });
    }
    return outcomes;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {readonly string[]} given @param {string} out
 * @param {{ event: number, milliseconds: number } | null} kill after how many events, and how long after
 */
async function run(given, out, kill) {
  const started = performance.now();
  const child = spawn(process.execPath, [ENTRY, "quantize", ...given, "--out", out, "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  let errors = "";
  /** @type {{ event: string, window?: number }[]} */
  const events = [];
  let armed = kill !== null;
  child.stderr.on("data", (data) => {
    errors += data;
  });
  child.stdout.on("data", (data) => {
    text += data;
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    events.push(...lines.map((line) => JSON.parse(line)));
    if (!armed || kill === null || events.length <= kill.event) return;
    armed = false;
    setTimeout(() => child.kill("SIGKILL"), kill.milliseconds);
  });
  /** @type {number | null} */
  const code = await new Promise((resolve) => child.on("close", resolve));
  return { code, events, errors, milliseconds: performance.now() - started };
}

/** @param {string} folder @returns {string} the hashes of everything that was decided */
function codesOf(folder) {
  const { fingerprints, activations } = JSON.parse(readFileSync(join(folder, "crossblock.json"), "utf8"));
  return JSON.stringify({ fingerprints, activations });
}

/** @param {number} seed mulberry32 */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { fetchSotu } = await import("../fetch/fetch-sotu.mjs");
  const { train } = await fetchSotu();
  const given = process.argv.slice(2);
  const options = given.findIndex((text) => text.startsWith("-"));
  const numbers = options === -1 ? given : given.slice(0, options);
  const [kills = 50, seed = Date.now() % 1e9] = numbers.map(Number);
  process.stdout.write(`${kills} kills, seed ${seed}\n`);
  const budget = [
    "--samples",
    "4",
    "--context",
    "64",
    "--set",
    "window.epochs=1",
    "window.batch=2",
    "endToEnd.epochs=2",
  ];
  if (options !== -1) budget.push(...given.slice(options));
  const model = join(ROOT, "models", "sotu-llama-7m");
  const outcomes = await killAndContinue({
    kills,
    seed,
    arguments: [model, "--scheme", "W2A16g64", "--calibration", train, ...budget],
    report: (line) => void process.stdout.write(`${line}\n`),
  });
  const killed = outcomes.filter((outcome) => outcome.killed).length;
  const equal = outcomes.filter((outcome) => outcome.equal).length;
  const lost = outcomes.filter((outcome) => outcome.killed && outcome.continuedBehind < outcome.windowsDone).length;
  process.stdout.write(`killed ${killed}, same codes in ${equal} of ${kills}, a finished window lost in ${lost}\n`);
  process.exitCode = equal === kills && lost === 0 ? 0 : 1;
}
