/**
 * Kills a run with SIGKILL at random moments and in the stages behind the windows, continues it each time to its end, and compares
 * codes, scores and files with those of a run that was left alone. `npm run test:kill` does so 50 times on the bundled model;
 * `test/run/kill.test.ts` a few times on a tiny one. `npm run test:kill -- KILLS SEED --device cuda:0 --deterministic` takes options of `quantize`.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
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
      const chosen = moments?.[i] ?? atRandom;
      const chain = [];
      for (const choose of Array.isArray(chosen) ? chosen : [chosen]) {
        const killed = await run(given, out, choose(reference.events, random));
        chain.push(killed);
        if (killed.code === 0 || existsSync(join(out, "crossblock.json"))) break;
      }
      const done = chain.at(-1)?.code === 0;
      if (!done) chain.push(await run(given, out, null));
      const last = chain.at(-1) ?? reference;
      const ended = last.code === 0;
      const equal = ended && codesOf(out) === expected;
      const whole = ended && scoresOf(out) === scoresOf(join(folder, "reference"));
      const difference = ended ? await codeDifference(join(folder, "reference"), out) : null;
      for (const [k, process] of chain.entries()) {
        const next = chain[k + 1];
        if (next === undefined && !done) break;
        const before = process.events.at(-1);
        const outcome = {
          // A result that is in place has ended, whether or not its process could still say so.
          killed: process.code === null && next !== undefined && !next.events.some(isThere),
          lastEvent: `${before?.stage ?? before?.event ?? "none"}${before?.window === undefined ? "" : ` of window ${before.window}`}`,
          windowsDone: windowsDone(process.events),
          continuedBehind: next?.events.find(({ event }) => event === "continued")?.window ?? 0,
          ...{ ended, equal, whole, difference, errors: ended ? "" : last.errors },
        };
        outcomes.push(outcome);
        const verdict = equal
          ? whole
            ? "same codes"
            : "same codes, OTHER SCORES OR FILES"
          : `DIFFERENT ${outcome.errors}`;
        const off = equal || difference === null ? "" : differenceText(difference);
        const behind = `continued after window ${outcome.continuedBehind}`;
        report(`${outcomes.length}: killed after ${outcome.lastEvent}, ${behind}, ${verdict}${off}`);
      }
      rmSync(out, { recursive: true, force: true });
    }
    return outcomes;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @type {import("./kill-test.mjs").ChooseMoment} */
function atRandom(events, random) {
  const event = Math.floor(random() * events.length);
  return { at: (_, index) => index === event, milliseconds: random() * 200 };
}

/** Behind the first event of a stage. @param {string} stage @returns {import("./kill-test.mjs").ChooseMoment} */
export function inStage(stage) {
  return (_events, random) => ({
    at: (event) => event.stage === stage || event.event === stage,
    milliseconds: random() * 20,
  });
}

/** The stages behind the windows; behind the sizes, the record, the page and the card are written. */
export const LATE_STAGES = ["scoring", "writing sample texts", "exporting", "sizes"];

/** @param {readonly import("./kill-test.mjs").RunLine[]} events counted from the first window of the run */
function windowsDone(events) {
  const before = events.find(({ event }) => event === "continued")?.window ?? 0;
  return before + events.filter(({ event }) => event === "window-done").length;
}

/** @param {import("./kill-test.mjs").RunLine} line */
function isThere({ event }) {
  return event === "already-there";
}

/**
 * @param {readonly string[]} given @param {string} out
 * @param {import("./kill-test.mjs").KillMoment | null} kill
 */
async function run(given, out, kill) {
  const started = performance.now();
  const child = spawn(process.execPath, [ENTRY, "quantize", ...given, "--out", out, "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  let errors = "";
  /** @type {import("./kill-test.mjs").RunLine[]} */
  const events = [];
  let armed = kill !== null;
  child.stderr.on("data", (data) => {
    errors += data;
  });
  child.stdout.on("data", (data) => {
    text += data;
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      const event = JSON.parse(line);
      events.push(event);
      if (!armed || kill === null || !kill.at(event, events.length - 1)) continue;
      armed = false;
      setTimeout(() => child.kill("SIGKILL"), kill.milliseconds);
    }
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

/** @param {string} folder @returns {string} scores, sample texts, and which files there are */
function scoresOf(folder) {
  const { quality, samples } = JSON.parse(readFileSync(join(folder, "crossblock.json"), "utf8"));
  const files = readdirSync(folder, { recursive: true }).map(String).sort();
  return JSON.stringify({ quality: { ...quality, seconds: null }, samples, files });
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
    // Of a run's events few are of what follows its windows.
    moments: Array.from({ length: kills }, (_, i) =>
      i % 5 === 4 ? inStage(LATE_STAGES[((i - 4) / 5) % LATE_STAGES.length] ?? "scoring") : atRandom,
    ),
    arguments: [model, "--scheme", "W2A16g64", "--calibration", train, ...budget],
    report: (line) => void process.stdout.write(`${line}\n`),
  });
  const killed = outcomes.filter((outcome) => outcome.killed).length;
  const equal = outcomes.filter((outcome) => outcome.equal).length;
  const lost = outcomes.filter((outcome) => outcome.killed && outcome.continuedBehind < outcome.windowsDone).length;
  process.stdout.write(`killed ${killed}, same codes in ${equal} of ${kills}, a finished window lost in ${lost}\n`);
  const whole = outcomes.every((outcome) => outcome.whole) || options !== -1;
  process.exitCode = equal === kills && lost === 0 && whole ? 0 : 1;
}
