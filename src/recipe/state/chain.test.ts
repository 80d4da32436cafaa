import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { windowSchedule } from "../../reconstruct/schedule.js";
import { liveHandles, scope } from "../../tensor/index.js";
import { efficientQat } from "../efficient-qat.js";
import { runRecipe } from "../job/run-recipe.js";
import type { Chain } from "../recipe.js";
import { type TinyNetwork, tinyJob, tinyNetwork, tinyTokens } from "../testing/tiny-run.js";
import type { RecipeState } from "./saved-state.js";

type Inputs = Map<number, Float32Array>;

const BLOCKS = 4;
let net: TinyNetwork;

beforeAll(async () => {
  net = await tinyNetwork(BLOCKS);
});
afterAll(() => net[Symbol.dispose]());

/** A job whose windows of two blocks overlap by one; what each of them sees of the first sequence goes to `inputs`. */
function jobOf(chain: Chain, inputs: Inputs, scheme = "W2A16g8") {
  const options = { blockAp: { epochs: 2, batch: 2 }, finish: "none" } as const;
  const tokens = tinyTokens(net.spec, 4);
  const recipe: typeof efficientQat = {
    ...efficientQat,
    windows: (blocks) => windowSchedule(blocks, 2, 1),
    chain: () => chain,
    *solve(work) {
      inputs.set(
        work.blocks[0]?.index ?? -1,
        scope(() => work.input?.read([0])["x"]?.toFloat32Array() ?? new Float32Array()),
      );
      return yield* efficientQat.solve(work);
    },
  };
  return tinyJob(net, "efficient-qat", scheme, options, { tokens, recipe });
}

describe("the chain of a recipe", () => {
  it("lets windows see the stream of full precision, whatever the windows before them lose", () => {
    const live = liveHandles();
    const [full, quantized, exact]: Inputs[] = [new Map(), new Map(), new Map()];
    const ends = (inputs: Inputs, chain: Chain): void => {
      for (const _ of runRecipe(jobOf(chain, inputs).job));
    };
    ends(full as Inputs, { input: "full", targets: ["full"] });
    ends(quantized as Inputs, { input: "quantized", targets: ["full"] });
    // At 8 bits the quantized network is close to that of full precision.
    for (const _ of runRecipe(jobOf({ input: "quantized", targets: ["full"] }, exact as Inputs, "W8A16g8").job));
    expect([...(full as Inputs).keys()]).toEqual([0, 1, 2]);
    for (const block of [1, 2]) {
      const reference = (exact as Inputs).get(block) as Float32Array;
      const near = distance((full as Inputs).get(block) as Float32Array, reference);
      const far = distance((quantized as Inputs).get(block) as Float32Array, reference);
      expect(near).toBeLessThan(far / 5);
    }
    expect((full as Inputs).get(0)).toEqual((quantized as Inputs).get(0));
    expect(liveHandles()).toBe(live);
  });

  it("continues to the same bits", () => {
    const chain = { input: "full", targets: ["full"] } as const;
    const whole = jobOf(chain, new Map());
    for (const _ of runRecipe(whole.job));
    const first = jobOf(chain, new Map());
    let saved = new Map<string, Uint8Array>();
    const windowDone: (typeof first.job.sink)["windowDone"] = (_event, state) => {
      saved = new Map(state.map(({ name, pieces }) => [name, Buffer.concat([...pieces()])]));
    };
    const running = runRecipe({ ...first.job, sink: { ...first.job.sink, windowDone } });
    for (const event of running) if (event.event === "window-done") break;
    const resume: RecipeState = {
      window: 1,
      read: (name, begin, end) => (saved.get(name) as Uint8Array).subarray(begin, end),
    };
    const second = jobOf(chain, new Map());
    for (const _ of runRecipe({ ...second.job, resume }));
    expect(second.delivered.weights.size).toBeGreaterThan(0);
    for (const [name, weight] of second.delivered.weights) expect(weight).toEqual(whole.delivered.weights.get(name));
  });
});

function distance(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(a.reduce((sum, x, i) => sum + (x - (b[i] ?? 0)) ** 2, 0));
}
