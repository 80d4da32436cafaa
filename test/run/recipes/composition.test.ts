import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { compareModels } from "../../../src/api/model.js";
import type { QuantizeOptions } from "../../../src/api/quantize.js";
import { InputError } from "../../../src/errors.js";
import { heard } from "../../fixtures/engine-in-process.js";
import { quantized, weightHashes } from "../../fixtures/in-process/quantized.js";
import { stoppedAt } from "../../fixtures/in-process/stopped-at.js";
import { writeSmallLlama } from "../../fixtures/prepared/small-llama.js";
import { type Workplace, workplace } from "../../fixtures/sample-text.js";
import { type Given, type Model, models, refused, works } from "./combinations.js";

vi.mock("../../../src/run/engine/engine-client.js", () => import("../../fixtures/engine-in-process.js"));

let place: Workplace;
beforeAll(async () => {
  place = workplace(120);
  for (const [name, options] of Object.entries(models)) await writeSmallLlama(join(place.folder, name), options);
});
afterAll(() => place[Symbol.dispose]());

const given = (model: Model, out: string, options: Given): QuantizeOptions => ({
  ...{ model: join(place.folder, model), out: join(place.folder, out), device: "cpu", score: false, report: false },
  ...{ calibration: [place.text], samples: 8, context: 32 },
  ...options,
});

/** KL divergence of a result from its model. */
async function lossOf(model: Model, out: string): Promise<number> {
  const text = { text: place.text, context: 32, limit: 8, device: "cpu" } as const;
  const { divergence } = await compareModels(join(place.folder, out), {
    ...text,
    reference: join(place.folder, model),
  });
  return divergence.mean;
}

/** That of rounding to nearest at the scheme, the same for all recipes. */
const nearest = new Map<string, Promise<number>>();
function lossOfNearest(
  model: Model,
  { scheme, asym = false, rotation = "none", activation, bitsBudget = null }: Given,
): Promise<number> {
  const options = {
    scheme,
    asym,
    rotation,
    bitsBudget,
    recipe: "rtn",
    finish: "none",
    ...(activation && { activation }),
  } as Given;
  const key = JSON.stringify([model, options]);
  const known =
    nearest.get(key) ??
    (async () => {
      const out = `rtn-${nearest.size}`;
      await quantized(given(model, out, options));
      return await lossOf(model, out);
    })();
  nearest.set(key, known);
  return known;
}

describe("what goes together", () => {
  it.each(works.map((row, i) => [...row, i] as const))(
    "works, continues where it was stopped, and loses no more than rounding to nearest: %s",
    async (what, model, options, i) => {
      const out = what.replaceAll(/\W+/g, "-");
      await stoppedAt("window-done", given(model, out, options));
      await quantized(given(model, out, options));
      // Each recipe has this for itself (src/recipe/state/every-recipe.test.ts); here it is what two of them do together.
      if (i % 3 === 0) {
        const whole = `${out}-whole`;
        await quantized(given(model, whole, options));
        expect(weightHashes(join(place.folder, out))).toEqual(weightHashes(join(place.folder, whole)));
      }
      const [loss, most] = [await lossOf(model, out), await lossOfNearest(model, options)];
      // Scales that do not lower the loss stay, and another libtorch rounds its sums otherwise.
      expect(loss).toBeLessThan(1.05 * most);
    },
  );
});

describe("what does not", () => {
  it.each(refused)("is refused before any work, with what to do instead: %s", async (what, model, options, message) => {
    const out = what.replaceAll(/\W+/g, "-");
    const events: string[] = [];
    heard.event = ({ event }) => void events.push(event);
    try {
      const error = await quantized(given(model, out, options)).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(InputError);
      expect((error as InputError).next).toMatch(message);
    } finally {
      heard.event = () => {};
    }
    expect(events.filter((event) => event === "window-start")).toEqual([]);
    expect(existsSync(join(place.folder, out))).toBe(false);
  });
});
