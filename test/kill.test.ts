import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { killAndContinue } from "../scripts/kill-test.mjs";
import { type Workplace, workplace } from "./fixtures/sample-text.js";
import { writeTinyLlama } from "./fixtures/tiny-llama.js";

describe("a run that is killed", () => {
  let place: Workplace;
  beforeAll(async () => {
    place = workplace();
    await writeTinyLlama(join(place.folder, "model"));
  });
  afterAll(() => place[Symbol.dispose]());

  it("continues, loses no finished window and gives the same codes, five times out of five", async () => {
    const seed = Date.now() % 1e9;
    const budget = ["--samples", "8", "--context", "32", "--set", "window.epochs=2", "window.batch=2"];
    const outcomes = await killAndContinue({
      kills: 5,
      seed,
      arguments: [join(place.folder, "model"), "--scheme", "W3A16g8", "--calibration", place.text, ...budget],
    });
    for (const outcome of outcomes) {
      expect(outcome, `seed ${seed}`).toMatchObject({ ended: true, equal: true });
      expect(outcome.continuedBehind, `seed ${seed}`).toBeGreaterThanOrEqual(outcome.killed ? outcome.windowsDone : 0);
    }
  });
});
