/**
 * Kills a short run of every recipe with SIGKILL behind its first window, continues it, and compares codes, scales and clips with
 * those of a run that was left alone; all with --deterministic, which promises the same bits on a GPU too.
 *
 *   node scripts/stress/recipe-kills.mjs --model DIR --text PATH [--device cuda:0] [--only NAME]
 */
import { parseArgs } from "node:util";
import { killAndContinue } from "./kill-test.mjs";
import { recipeRuns } from "./recipe-runs.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    text: { type: "string" },
    device: { type: "string", default: "cpu" },
    only: { type: "string" },
  },
});
const { model, text, device, only } = values;
if (model === undefined || text === undefined) throw new Error("give --model DIR and --text PATH");
const chosen = recipeRuns.filter(([name]) => only === undefined || name === only);
if (chosen.length === 0) throw new Error(`--only is one of ${recipeRuns.map(([name]) => name).join(", ")}`);
let different = 0;
for (const [name, ...given] of chosen) {
  // Options that end with --set would take what follows for settings.
  const drawn = name === "rtn" ? [] : ["--calibration", text, "--samples", "8", "--context", "128"];
  const places = ["--device", device, "--deterministic", "--no-score", "--no-report"];
  const outcomes = await killAndContinue({
    kills: 1,
    seed: 7,
    moments: [() => ({ at: ({ event }) => event === "window-done", milliseconds: 0 })],
    arguments: [model, ...drawn, ...places, ...given],
  });
  for (const { equal, killed, windowsDone, continuedBehind, errors, difference } of outcomes) {
    const lost = killed && continuedBehind < windowsDone;
    if (!equal || lost) different++;
    const verdict = equal ? "the same bits" : `OTHER BITS ${JSON.stringify(difference)} ${errors}`;
    const when = killed
      ? `killed behind window ${windowsDone}, continued behind ${continuedBehind}`
      : "ended before it was killed";
    process.stdout.write(`${name}: ${when}${lost ? ", A WINDOW LOST" : ""}: ${verdict}\n`);
  }
}
process.exitCode = different === 0 ? 0 : 1;
