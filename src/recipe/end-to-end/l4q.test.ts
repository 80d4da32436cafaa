import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { portOf } from "../../calibration/port-store.js";
import { checkpointSource } from "../../network/index.js";
import { codesOf } from "../../quant/from-quantized-weight.js";
import { dequantize, roundToNearest } from "../../quant/grid/grid.js";
import { searchRange } from "../../quant/grid/range.js";
import { parseScheme } from "../../quant/scheme.js";
import { nextTokenLoss } from "../../reconstruct/objective/output-objective.js";
import { liveHandles, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { RecipeEvent, WindowDoneEvent } from "../job/recipe-job.js";
import { runRecipe } from "../job/run-recipe.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import type { RecipeState } from "../state/saved-state.js";
import { UnitSource } from "../state/unit-source.js";
import { type Delivered, type TinyNetwork, tinyJob, tinyNetwork, tinyTokens } from "../testing/tiny-run.js";

const BLOCKS = 2;
const group = { epochs: 4, batch: 2, rate: 5e-3 } as const;
let net: TinyNetwork;
beforeAll(async () => {
  net = await tinyNetwork(BLOCKS);
});
afterAll(() => net[Symbol.dispose]());

let live = 0;
beforeAll(() => {
  live = liveHandles();
});
afterEach(() => {
  expect(liveHandles()).toBe(live);
});

interface Outcome {
  readonly delivered: Delivered;
  readonly events: readonly RecipeEvent[];
  readonly done: readonly WindowDoneEvent[];
  readonly saved: RecipeState;
}

/** Runs until so many windows are done; from what an earlier run had saved, if given. */
function run(
  l4q: RecipeOptionsInput["l4q"],
  more: Parameters<typeof tinyJob>[4] & { readonly windows?: number; readonly beside?: RecipeOptionsInput } = {},
): Outcome {
  const { windows = Number.POSITIVE_INFINITY, beside = {}, ...rest } = more;
  const { job, delivered } = tinyJob(net, "l4q", "W3A16g8", { l4q: { ...group, ...l4q }, ...beside }, rest);
  let saved: RecipeState = { window: 0, read: () => new Uint8Array() };
  const events: RecipeEvent[] = [];
  for (const event of runRecipe({
    ...job,
    sink: {
      ...job.sink,
      windowDone: ({ window }, state) => {
        const bytes = new Map(state.map(({ name, pieces }) => [name, Buffer.concat([...pieces()])]));
        saved = { window: window + 1, read: (name, begin, end) => (bytes.get(name) as Buffer).subarray(begin, end) };
      },
    },
  })) {
    events.push(event);
    if (event.event === "window-done" && event.window + 1 === windows) break;
  }
  return { delivered, events, saved, done: events.flatMap((each) => (each.event === "window-done" ? [each] : [])) };
}

/** The loss of the network with the codes that were handed over, on the sequences that a stage measures. */
function lossOf({ delivered }: Outcome, more: Parameters<typeof tinyJob>[4] = {}): number {
  const { job } = tinyJob(net, "l4q", "W3A16g8", {}, more);
  const tokens = job.tokens as NonNullable<typeof job.tokens>;
  const place = { device: "cpu", dtype: "float32" } as const;
  const results = {
    readLinear: (name: string) => delivered.weights.get(name) as never,
    readPlain: () => null,
    activationOf: () => null,
  };
  using source = new UnitSource(job, tokens.context);
  const start = job.network.begin(checkpointSource(job.checkpoint, place));
  const end = job.network.end(checkpointSource(job.checkpoint, place));
  const objective = nextTokenLoss(tokens);
  const all = Array.from({ length: tokens.sequences }, (_, i) => i);
  const loss = noGrad(() =>
    scope(() => {
      let ports = start.run(tokens.ids, [tokens.sequences, tokens.context]);
      for (let k = 0; k < BLOCKS; k++) {
        const block = source.openFinished(k, results, false);
        for (const layer of block.trained) layer.prepare();
        ports = block.forwardQuantized(ports);
        block.dispose();
      }
      return objective.measure(end.head, portOf(ports, end.port), all, 1 / objective.counted(all, tokens.context));
    }),
  );
  start.dispose();
  end.dispose();
  return loss;
}

describe("L4Q", () => {
  it("lowers the loss, and hands over codes that have all of what was learnt in them", () => {
    const outcome = run({});
    const { done, delivered } = outcome;
    expect(done.map(({ window, windows }) => [window, windows])).toEqual([0, 1, 2, 3].map((i) => [i, 4]));
    const [first, last] = [done[0]?.lossBefore?.total ?? 0, done.at(-1)?.lossAfter?.total ?? 0];
    expect(last).toBeLessThan(0.9 * first);
    expect(delivered.weights.size).toBe(7 * BLOCKS);
    expect(delivered.plain.size).toBe(0);
    // The network of codes alone loses what the trained one did: the low-rank term is in them.
    expect(lossOf(outcome)).toBeCloseTo(last, 4);
  });

  it("begins as the weights rounded to nearest, with the paper's start", () => {
    const { delivered } = run({ start: "nearest", epochs: 1, rate: 1e-12, scaleRate: 1e-12 });
    noGrad(() =>
      scope(() => {
        const name = "model.layers.1.mlp.down_proj";
        const stored = net.checkpoint.tensors.get(`${name}.weight`);
        const weight = Tensor.fromBytes(
          net.checkpoint.readSync(`${name}.weight`),
          stored?.shape as readonly number[],
          "float32",
          "cpu",
        );
        const nearest = roundToNearest(weight, searchRange(weight, parseScheme("W3A16g8"), name));
        const codes = codesOf(delivered.weights.get(name) as never, "cpu");
        expect(dequantize(codes).sub(dequantize(nearest)).abs().amax().item()).toBe(0);
      }),
    );
  });

  it.each(["gptq", "boa"] as const)("begins with the codes of %s otherwise, and learns from there", (start) => {
    const still = { start, epochs: 1, rate: 1e-12, scaleRate: 1e-12 };
    const scheme = parseScheme("W2A16g8");
    const started = run(still, { scheme });
    const { job, delivered } = tinyJob(net, start, "W2A16g8", { finish: "none" });
    for (const _ of runRecipe(job));
    let [same, all] = [0, 0];
    for (const [name, { codes }] of delivered.weights) {
      const own = started.delivered.weights.get(name)?.codes ?? [];
      same += codes.filter((code, i) => code === own[i]).length;
      all += codes.length;
    }
    // Moments are summed in other parts.
    expect(same / all).toBeGreaterThan(0.98);
    const nearest = run({ ...still, start: "nearest" }, { scheme });
    const lossAt = ({ done }: Outcome): number => done[0]?.lossBefore?.total ?? 0;
    expect(lossAt(started)).not.toBe(lossAt(nearest));
    expect(run({ start }, { scheme }).done.at(-1)?.lossAfter?.total).toBeLessThan(lossAt(started));
    // The other solver's codes are others.
    const other = run({ ...still, start: start === "boa" ? "gptq" : "boa" }, { scheme });
    expect(lossAt(other)).not.toBe(lossAt(started));
  });

  it("begins with the same codes however far from them weights stay, and changes fewer where they stay near", () => {
    const still = { epochs: 1, rate: 1e-12, scaleRate: 1e-12 };
    const start = run(still).delivered.weights;
    const moved = [1, 0.5, 0].map((slack) => {
      expect(run({ ...still, slack }).delivered.weights).toEqual(start);
      const learnt = run({ slack }).delivered.weights;
      const changed = [...start].map(([name, { codes }]) =>
        codes.filter((code, i) => code !== learnt.get(name)?.codes[i]),
      );
      return changed.reduce((sum, { length }) => sum + length, 0);
    }) as [number, number, number];
    expect(moved[0]).toBeGreaterThan(moved[1]);
    expect(moved[1]).toBeGreaterThan(moved[2]);
  });

  it("learns offsets that zero points hold where the grid is asymmetric", () => {
    const scheme = parseScheme("W3A16g8", { asym: true });
    const { delivered, done } = run({ offsetRate: 0.2 }, { scheme });
    expect(done.at(-1)?.lossAfter?.total).toBeLessThan(done[0]?.lossBefore?.total ?? 0);
    const still = run({ offsetRate: 1e-12 }, { scheme });
    let moved = 0;
    for (const [name, { symmetric, zeroPoints }] of delivered.weights) {
      expect(symmetric).toBe(false);
      expect(Math.max(...zeroPoints)).toBeLessThanOrEqual(7);
      const before = still.delivered.weights.get(name)?.zeroPoints ?? [];
      moved += zeroPoints.filter((zero, i) => zero !== before[i]).length;
    }
    expect(moved).toBeGreaterThan(0);
  });

  it.each([1, 2])("continues to the same bits behind any window, with %i pieces to an epoch", (pieces) => {
    const whole = run({ epochs: 2, pieces });
    for (let windows = 1; windows < 2 * pieces; windows++) {
      const killed = run({ epochs: 2, pieces }, { windows });
      expect(killed.delivered.weights.size).toBe(0);
      const continued = run({ epochs: 2, pieces }, { resume: killed.saved });
      expect(continued.delivered.weights).toEqual(whole.delivered.weights);
    }
  });

  it("learns nothing from tokens that are no answers", () => {
    const tokens = tinyTokens(net.spec, 6);
    const answers = Uint8Array.from(tokens.ids, (_, i) => (i % tokens.context >= 12 ? 1 : 0));
    // What is asked changes what is answered, not what counts: only the last four tokens of each are scored.
    const masked = { tokens: { ...tokens, answers } };
    const outcome = run({}, masked);
    expect(outcome.done[0]?.lossBefore?.total).not.toBeCloseTo(run({ epochs: 1 }).done[0]?.lossBefore?.total ?? 0, 2);
    expect(lossOf(outcome, masked)).toBeCloseTo(outcome.done.at(-1)?.lossAfter?.total ?? 0, 4);
    const none = run({}, { tokens: { ...tokens, answers: new Uint8Array(tokens.ids.length) } });
    expect(none.done.map(({ lossAfter }) => lossAfter?.total)).toEqual([0, 0, 0, 0]);
  });

  it("takes the inputs of its Linears quantized, and learns their clips", () => {
    const { delivered, done } = run({}, { scheme: parseScheme("W4A8g8"), beside: { activation: { learnClip: true } } });
    expect(delivered.activations.size).toBe(7 * BLOCKS);
    expect(new Set(delivered.activations.values()).size).toBeGreaterThan(7);
    expect(done.at(-1)?.lossAfter?.total).toBeLessThan(done[0]?.lossBefore?.total ?? 0);
  });

  it.each([
    [{ finish: "scales" } as const, /would forget.*leave out --finish scales, or use --set endToEnd.loss=next-token/],
    [{ activation: { granularity: "tensor" } } as const, /ranges of inputs per tensor.*granularity=token/],
  ])("refuses %j, and says what to do instead", (beside, message) => {
    expect(() => run({}, { beside })).toThrow(message);
  });

  it("lets its scales train on, on the same tokens", () => {
    const beside = { finish: "scales", endToEnd: { loss: "next-token", epochs: 2, batch: 2 } } as const;
    const { done } = run({ epochs: 1 }, { beside });
    expect(done.map(({ windows }) => windows)).toEqual([3, 3, 3]);
    expect(done[1]?.lossBefore?.total).toBeCloseTo(done[0]?.lossAfter?.total ?? 0, 4);
    expect(done[2]?.lossAfter?.total).toBeLessThan(done[1]?.lossBefore?.total ?? 0);
  });

  it("says where fine-tuning did not lower the loss", () => {
    const warningsOf = ({ events }: Outcome): string[] =>
      events.flatMap((event) => (event.event === "warning" ? [event.message] : []));
    expect(warningsOf(run({}))).toEqual([]);
    expect(warningsOf(run({ rate: 1e9, scaleRate: 1e3 })).at(-1)).toMatch(/^fine-tuning did not lower the loss \(/);
  });

  it("ends with an error that names the rate where the loss is not finite in the end", () => {
    const live = liveHandles();
    expect(() => run({ rate: 1e99 })).toThrow(
      /not finite.*rate of 1e\+99.*Next: give --set l4q\.rate=0\.0001 and --fresh/,
    );
    expect(liveHandles()).toBe(live);
  });

  it("asks for text", () => {
    expect(() => run({}, { tokens: null })).toThrow(/needs calibration text.*give --calibration/);
  });
});
