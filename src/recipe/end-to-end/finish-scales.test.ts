import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Addon, addon } from "../../tensor/engine/addon.js";
import { liveHandles } from "../../tensor/index.js";
import type { RecipeEvent } from "../job/recipe-job.js";
import { runRecipe } from "../job/run-recipe.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import type { RecipeState, StateTensor } from "../state/saved-state.js";
import { type Delivered, type TinyNetwork, tinyJob, tinyNetwork } from "../testing/tiny-run.js";

const BLOCKS = 2;
const EPOCHS = 3;

let network: TinyNetwork;
const native: Addon = addon();
const original = { ...native };
beforeAll(async () => {
  network = await tinyNetwork(BLOCKS);
});
afterAll(() => network[Symbol.dispose]());
afterEach(() => void Object.assign(native, original));

/** The gradient of these steps, counted from 0 over all epochs, is NaN. A step passes the head, then every block. */
function poisonSteps(isPoisoned: (step: number) => boolean, first = 0): void {
  const multiply = native.findOperator("aten::mul_", "Scalar")?.id ?? 0;
  let calls = first * (BLOCKS * 2 + 1);
  native.backward = (outputs, gradients) => {
    const step = Math.floor(calls++ / (BLOCKS * 2 + 1));
    if (isPoisoned(step)) original.callOperator(multiply, [gradients?.[0], Number.NaN], undefined, true);
    original.backward(outputs, gradients);
  };
}

interface Saved {
  readonly window: number;
  readonly state: ReadonlyMap<string, Uint8Array>;
}

function copied(state: readonly StateTensor[]): Map<string, Uint8Array> {
  return new Map(state.map(({ name, pieces }) => [name, Buffer.concat([...pieces()])]));
}

function resumedFrom({ window, state }: Saved): RecipeState {
  return { window, read: (name, begin, end) => (state.get(name) as Uint8Array).subarray(begin, end) };
}

/** Round to nearest and end-to-end training; stops once `windows` are done. */
function run(
  windows: number,
  from?: { readonly saved: Saved; readonly delivered: Delivered },
  more: RecipeOptionsInput["endToEnd"] = {},
): Outcome {
  const options: RecipeOptionsInput = { finish: "scales", endToEnd: { epochs: EPOCHS, batch: 2, ...more } };
  let saved: Saved = { window: 0, state: new Map() };
  const { job, delivered } = tinyJob(network, "rtn", "W3A16g8", options, {
    ...(from === undefined ? {} : { resume: resumedFrom(from.saved) }),
  });
  for (const kind of ["weights", "plain", "activations"] as const) {
    for (const [name, value] of from?.delivered[kind] ?? []) delivered[kind].set(name, value as never);
  }
  const events: RecipeEvent[] = [];
  const running = runRecipe({
    ...job,
    sink: {
      ...job.sink,
      windowDone: ({ window }, state) => {
        saved = { window: window + 1, state: copied(state) };
      },
    },
  });
  for (const event of running) {
    events.push(event);
    if (event.event === "window-done" && event.window + 1 === windows) break;
  }
  return { saved, delivered, events };
}

interface Outcome {
  readonly saved: Saved;
  readonly delivered: Delivered;
  readonly events: readonly RecipeEvent[];
}

function scalesOf({ delivered }: Outcome): (readonly [string, Float32Array])[] {
  return [...delivered.weights].map(([name, { scales }]) => [name, scales] as const);
}

describe("end-to-end training", () => {
  it("continues with the optimiser's own count of steps where some were not finite", () => {
    poisonSteps((step) => step === 1);
    const whole = run(BLOCKS + EPOCHS);
    expect(whole.events.filter((event) => event.event === "warning").length).toBe(1);
    poisonSteps((step) => step === 1);
    const killed = run(BLOCKS + 1);
    poisonSteps(() => false);
    const continued = run(BLOCKS + EPOCHS, killed);
    expect(scalesOf(continued)).toEqual(scalesOf(whole));
  });

  it("counts faults over all epochs, and does nothing more once it has given up", () => {
    const live = liveHandles();
    // Three steps an epoch.
    poisonSteps((step) => step >= 1);
    const outcome = run(BLOCKS + EPOCHS + 9);
    const warnings = outcome.events.flatMap((event) => (event.event === "warning" ? [event.message] : []));
    expect(warnings.filter((message) => message.includes("is skipped")).length).toBe(8);
    expect(warnings.filter((message) => message.includes("back to the best state")).length).toBe(2);
    const done = outcome.events.flatMap((event) => (event.event === "window-done" ? [event.window] : []));
    expect(done).toEqual(Array.from({ length: BLOCKS + EPOCHS }, (_, i) => i));
    expect(liveHandles()).toBe(live);
  });

  it("passes units that have nothing to learn, the first one too", () => {
    const options = { finish: "scales", endToEnd: { epochs: 1, batch: 3 } } as const;
    for (const pattern of ["model.layers.0.*", "model.layers.1.*"]) {
      const { job } = tinyJob(network, "rtn", "W2A16g8", { ...options, overrides: [{ pattern, skip: true }] });
      const done = [...runRecipe(job)].flatMap((event) => (event.event === "window-done" ? [event] : [])).at(-1);
      expect(done?.lossAfter?.total).toBeLessThan(done?.lossBefore?.total ?? 0);
    }
  });

  it("leaves no tensor behind where what was handed over can't be read", () => {
    const options = { finish: "scales", endToEnd: { epochs: 1, batch: 3 } } as const;
    const { job } = tinyJob(network, "rtn", "W2A16g8", options);
    const { results } = job;
    if (results === null) throw new Error("a job keeps its results");
    let reads = 0;
    const readLinear: typeof results.readLinear = (name) => {
      if (++reads === 5) throw new RangeError("damaged");
      return results.readLinear(name);
    };
    const live = liveHandles();
    expect(() => [...runRecipe({ ...job, results: { ...results, readLinear } })]).toThrow("damaged");
    expect(liveHandles()).toBe(live);
  });

  it("stops where it has given up, in a continued run too", () => {
    poisonSteps(() => true);
    const whole = run(BLOCKS + EPOCHS);
    poisonSteps(() => true);
    const killed = run(BLOCKS + EPOCHS - 1);
    const continued = run(BLOCKS + EPOCHS, killed);
    for (const outcome of [whole, continued]) {
      const steps = outcome.events.filter(
        (event) => event.event === "warning" && event.message.includes("never becomes finite"),
      );
      expect(steps.length).toBe(1);
    }
    expect(scalesOf(continued)).toEqual(scalesOf(whole));
  });

  it("continues to the same scales with a warm-up over its epochs and gradients that are clipped", () => {
    // Half of the nine steps: the killed run ends in the warm-up.
    const more = { warmup: 0.5, clip: 1e-3 };
    const whole = run(BLOCKS + EPOCHS, undefined, more);
    const continued = run(BLOCKS + EPOCHS, run(BLOCKS + 1, undefined, more), more);
    expect(scalesOf(continued)).toEqual(scalesOf(whole));
    for (const other of [{}, { warmup: 0.5 }, { clip: 1e-3 }]) {
      expect(scalesOf(run(BLOCKS + EPOCHS, undefined, other))).not.toEqual(scalesOf(whole));
    }
  });
});
