import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { differenceText } from "../../scripts/stress/code-difference.mjs";
import {
  type ChooseMoment,
  inStage,
  type KillOutcome,
  killAndContinue,
  LATE_STAGES,
  type RunLine,
} from "../../scripts/stress/kill-test.mjs";
import { testDevice } from "../../src/tensor/testing/test-device.js";
import { bundledModel, type Workplace, workplace } from "../fixtures/sample-text.js";
import { writeTinyLlama } from "../fixtures/tiny-llama.js";

/** Shortly after the first event of this name and window, or after the window's last step. */
const behind =
  (name: string, window: number, milliseconds: number, last = false): ChooseMoment =>
  (events, random) => {
    const at = (each: RunLine): boolean =>
      each.event === name && each.window === window && (!last || each.step === each.steps);
    if (!events.some(at)) throw new Error(`no ${name} of window ${window}`);
    return { at, milliseconds: random() * milliseconds };
  };

describe("a run that is killed", () => {
  let place: Workplace;
  beforeAll(async () => {
    place = workplace();
    await writeTinyLlama(join(place.folder, "model"));
  });
  afterAll(() => place[Symbol.dispose]());

  it("continues, loses no finished window and gives the same: in a step, while a window is saved, end to end, scored, written", async () => {
    const seed = Date.now() % 1e9;
    const budget = ["--samples", "8", "--context", "32", "--set", "window.epochs=2", "window.batch=2"];
    const model = [join(place.folder, "model"), "--device", "cpu", "--scheme", "W3A16g8"];
    // Windows 0 to 2 are of blocks, 3 and 4 are epochs of end-to-end training. After its last step a window is hardened and saved.
    const moments = [behind("step", 1, 20), behind("step", 1, 40, true), behind("window-done", 3, 40)];
    const outcomes = await killAndContinue({
      kills: 1,
      seed,
      // One run, each of whose processes is killed further on.
      moments: [[...moments, ...LATE_STAGES.map(inStage)]],
      arguments: [...model, "--calibration", place.text, ...budget, "endToEnd.epochs=2"],
    });
    expect(outcomes.length).toBeGreaterThan(moments.length);
    for (const outcome of outcomes) {
      expect(outcome, `seed ${seed}`).toMatchObject({ ended: true, equal: true, whole: true });
      expect(outcome.continuedBehind, `seed ${seed}`).toBeGreaterThanOrEqual(outcome.killed ? outcome.windowsDone : 0);
    }
  });
});

describe.skipIf(testDevice === "cpu")("a run on a GPU that is killed (needs CROSSBLOCK_TEST_DEVICE=cuda:0)", () => {
  let place: Workplace;
  beforeAll(() => {
    place = workplace(4000);
  });
  afterAll(() => place[Symbol.dispose]());

  const killed = async (scheme: string, ...options: readonly string[]): Promise<readonly KillOutcome[]> => {
    // Twelve steps a window: the third and later ones are replayed from a recording.
    const budget = ["--samples", "8", "--context", "256", "--set", "window.epochs=3", "window.batch=2"];
    const given = ["--device", testDevice, "--scheme", scheme, "--calibration", place.text, ...budget, ...options];
    return killAndContinue({ kills: 2, seed: 7, arguments: [bundledModel, ...given] });
  };

  it.each(["W2A16g64", "W4A4"])("gives the same codes with --deterministic: %s", async (scheme) => {
    for (const outcome of await killed(scheme, "--deterministic")) {
      expect(outcome).toMatchObject({ ended: true, equal: true });
      expect(outcome.continuedBehind).toBeGreaterThanOrEqual(outcome.killed ? outcome.windowsDone : 0);
    }
  });

  it("continues without it, and says how many codes differ", async () => {
    for (const { ended, difference } of await killed("W2A16g64")) {
      expect(ended).toBe(true);
      if (difference !== null) process.stdout.write(`without --deterministic: ${differenceText(difference)}\n`);
    }
  });
});
