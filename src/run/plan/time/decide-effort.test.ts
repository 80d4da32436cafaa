import { describe, expect, it } from "vitest";
import type { UntypedOptions } from "../../../recipe/options/merge-options.js";
import { type GivenOptions, resolveOptions } from "../../options/options.js";
import { required } from "../../options/testing/refusal.js";
import { type DecidedEffort, decideEffort } from "./decide-effort.js";
import { formatRange } from "./range-text.js";

/** A run takes a second for a thousand tokens and pass, windows and end-to-end epochs alike. */
function secondsOf({ samples, context, window, finish, endToEnd }: GivenOptions): number {
  const passes = window.epochs + (finish === "none" ? 0 : endToEnd.epochs);
  return (samples * (context ?? 2048) * (1 + passes)) / 1000;
}

/** Of everything that was asked for its time. */
const planned: number[] = [];

function decide(
  given: UntypedOptions,
  more: { device?: "cpu" | "cuda:0"; saved?: unknown; maxPositions?: number } = {},
): DecidedEffort {
  const { device = "cpu", saved = null, maxPositions = 8192 } = more;
  const all = { ...required, ...given };
  return decideEffort(
    { given: all, options: resolveOptions(all), device, maxPositions, context: Math.min(2048, maxPositions), saved },
    (options) => {
      planned.push(secondsOf(options));
      return [0.8 * secondsOf(options), secondsOf(options)];
    },
  );
}

describe("decideEffort", () => {
  it("takes quick on a CPU and says what normal would take", () => {
    const { options, effort } = decide({});
    expect(options).toMatchObject({ effort: null, samples: 22, context: 1024, finish: "none" });
    expect(effort).toMatchObject({ name: "quick", chosen: "device", time: null });
    expect(effort?.values).toEqual({
      samples: 22,
      context: 1024,
      window: { epochs: 2, overlap: 0, batch: 1 },
      finish: "none",
    });
    const normal = secondsOf(resolveOptions(required));
    expect(effort?.more).toEqual({ name: "normal", range: [0.8 * normal, normal] });
  });

  it("takes normal on a GPU, and what is given anywhere", () => {
    expect(decide({}, { device: "cuda:0" })).toMatchObject({
      options: { samples: 128, finish: "auto" },
      effort: { name: "normal", chosen: "device", more: null, values: {} },
    });
    const best = decide({ effort: "best", samples: 9 });
    expect(best).toMatchObject({
      options: { samples: 9, window: { epochs: 20 } },
      effort: { name: "best", chosen: "given" },
    });
    expect(best.effort?.values).toEqual({ window: { epochs: 20 }, endToEnd: { epochs: 8 } });
  });

  it("takes of the text that comes with the package what there is, and says what it would take of more", () => {
    const bundled = { calibration: ["bundled"], effort: "best" };
    expect(decide(bundled)).toMatchObject({
      options: { samples: 155 },
      effort: { values: { samples: 155 }, wanted: 512 },
    });
    expect(decide({ ...bundled, context: 512 })).toMatchObject({ options: { samples: 512 }, effort: { wanted: null } });
    expect(decide({ ...bundled, samples: 400 })).toMatchObject({ options: { samples: 400 }, effort: { wanted: null } });
    const own = decide({ calibration: ["text.txt"], effort: "best" });
    expect(own).toMatchObject({ options: { samples: 512 }, effort: { wanted: null } });
    expect(decide({ ...bundled, effort: "normal" })).toMatchObject({
      options: { samples: 128 },
      effort: { wanted: null },
    });
  });

  it("shortens its own sequences to what the model was made for, and never the user's", () => {
    expect(decide({}, { maxPositions: 512 }).options.context).toBe(512);
    expect(decide({ context: 1024 }, { maxPositions: 512 }).options.context).toBe(1024);
  });

  it("has nothing to choose where no text is read", () => {
    expect(decide({ recipe: "rtn", calibration: [] }).effort).toBeNull();
  });

  it("fits into any time that is long enough, takes more where there is more, and never more than best", () => {
    const times = [20, 60, 200, 600, 2000, 7200, 20000, 1e5, 1e6, 1e8];
    const taken = times.map((seconds) => {
      const { options, effort } = decide({ time: `${seconds}s` });
      expect(secondsOf(options)).toBeLessThanOrEqual(seconds);
      expect(effort).toMatchObject({ chosen: "time", time: `${seconds}s` });
      return secondsOf(options);
    });
    expect(taken).toEqual([...taken].sort((a, b) => a - b));
    expect(taken[0]).toBeLessThan(taken[4] ?? 0);
    expect(taken.at(-1)).toBe(secondsOf(resolveOptions(required, { effort: "best" })));
    expect(decide({ time: "1000h" }).effort?.name).toBe("best");
  });

  it("leaves what is given as it is", () => {
    const { options, effort } = decide({ time: "10min", samples: 100, context: 128 });
    expect(options).toMatchObject({ samples: 100, context: 128 });
    expect(effort?.values).not.toHaveProperty("samples");
  });

  it("says the least that a time must be, and that works", () => {
    const least = (given: UntypedOptions): string => {
      try {
        decide({ time: "1s", ...given });
      } catch (error) {
        return String(error);
      }
      throw new Error("1 s was enough");
    };
    expect(least({})).toMatch(/option "time".*1s is too short: the least .*not worth running/);
    expect(least({ samples: 5000 })).toContain("samples are as you gave them");
    for (const given of [{}, { samples: 30 }, { samples: 500 }, { samples: 5000 }, { samples: 500000 }]) {
      planned.length = 0;
      const message = least(given);
      const next = /--time (\d+(?:s|min))/.exec(message)?.[1] ?? "";
      expect(decide({ ...given, time: next }).effort?.chosen).toBe("time");
      // In the words of the plan that follows.
      const shortest = Math.min(...planned);
      const told = formatRange([0.8 * shortest, shortest]);
      expect(message).toContain(`can be planned to take here is ${told} (`);
      expect(secondsOf(decide({ ...given, time: `${shortest}s` }).options)).toBe(shortest);
    }
  });

  it("goes on with what a run began with, whatever the machine does now", () => {
    const begun = { name: "quick", chosen: "time", time: "20min", values: { samples: 31, window: { epochs: 3 } } };
    const continued = decide({ time: "20min" }, { saved: { effort: begun } });
    expect(continued.options).toMatchObject({ samples: 31, window: { epochs: 3 } });
    // Another time is another run.
    expect(decide({ time: "21min" }, { saved: { effort: begun } }).options.samples).not.toBe(31);
  });
});
