import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SeededRandom } from "../../calibration/seeded-random.js";
import { liveHandles } from "../../tensor/index.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import { type TinyNetwork, tinyJob, tinyNetwork } from "../testing/tiny-run.js";
import type { RecipeEvent } from "./recipe-job.js";
import type { RecipeName } from "./recipe-names.js";
import { runRecipe } from "./run-recipe.js";

/** Places at which each run is stopped. */
const TRIES = 6;

let network: TinyNetwork;
beforeAll(async () => {
  network = await tinyNetwork(3);
});
afterAll(() => network[Symbol.dispose]());

const short = { window: { epochs: 2, batch: 3 }, endToEnd: { epochs: 2, batch: 3 } } as const;
const code = { rounding: { start: "gptq" } } as const;
const runs: readonly (readonly [string, RecipeName, string, RecipeOptionsInput])[] = [
  ["rtn", "rtn", "W3A16g8", { finish: "none" }],
  ["rtn with static inputs", "rtn", "W4A8", { activation: { granularity: "tensor" }, finish: "none" }],
  ["gptq, then all scales", "gptq", "W3A16g8", { ...short, finish: "scales" }],
  ["cbq and its end-to-end training", "cbq", "W3A16g8", { ...short, ...code }],
  ["cbq from round to nearest", "cbq", "W3A16g8", { ...short, rounding: { start: "rtn" }, finish: "none" }],
  [
    "cbq with folded, static inputs and both branches",
    "cbq",
    "W4A4",
    {
      window: { ...short.window, secondBranch: true, size: 3, overlap: 2 },
      ...code,
      activation: { granularity: "tensor" },
      cfp: { weights: true, activations: true },
      finish: "none",
    },
  ],
  ["efficient-qat and its end-to-end training", "efficient-qat", "W3A16g8", { ...short, blockAp: { epochs: 2 } }],
  ["norm-tweaking", "norm-tweaking", "W3A16g8", {}],
  ["brecq by gradients", "brecq", "W3A16", { brecq: { epochs: 2, batch: 3, loss: "fisher" } }],
  [
    "affine-quant with static inputs",
    "affine-quant",
    "W4A4",
    { affine: { epochs: 2, batch: 3, secondBranch: true }, activation: { granularity: "tensor" } },
  ],
  [
    "cbq behind AffineQuant's transforms, with static inputs",
    "cbq",
    "W4A4",
    {
      ...short,
      transform: "affine",
      affine: { epochs: 2, batch: 3 },
      activation: { granularity: "tensor" },
      finish: "none",
    },
  ],
  ["boa", "boa", "W3A16g8", {}],
  ["aespa", "aespa", "W3A16g8", { aespa: { iterations: 20, zFold: 2 } }],
  ["l4q", "l4q", "W3A16g8", { l4q: { epochs: 2, batch: 3, pieces: 2 } }],
  ["cbq from BoA's codes", "cbq", "W3A16g8", { ...short, rounding: { start: "boa" }, finish: "none" }],
  ["cbq with LoRA-Rounding", "cbq", "W3A16g8", { ...short, rounding: { kind: "lora" }, finish: "none" }],
];

describe("a run that is stopped, wherever it is", () => {
  it.each(runs)("leaves no tensor behind: %s", (_name, recipe, scheme, options) => {
    let polls = 0;
    let last = Number.POSITIVE_INFINITY;
    const start = (): Generator<RecipeEvent> =>
      runRecipe(
        tinyJob(network, recipe, scheme, options, {
          poll: () => {
            if (++polls > last) throw new RangeError("stopped");
          },
        }).job,
      );
    const live = liveHandles();
    const events = [...start()].length;
    const all = polls;
    expect(liveHandles()).toBe(live);
    const random = new SeededRandom(17);
    // Where it asks whether it may go on.
    for (let i = 0; i < TRIES; i++) {
      [polls, last] = [0, random.below(all)];
      expect(() => [...start()]).toThrow("stopped");
      expect([last, liveHandles()]).toEqual([last, live]);
    }
    // Where whoever reads its events stops to.
    last = Number.POSITIVE_INFINITY;
    for (let i = 0; i < TRIES; i++) {
      const read = random.below(events);
      const running = start();
      for (let k = 0; k <= read; k++) running.next();
      running.return(undefined);
      expect([read, liveHandles()]).toEqual([read, live]);
    }
  });
});
