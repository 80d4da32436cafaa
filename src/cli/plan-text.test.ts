import { describe, expect, it } from "vitest";
import type { PlanEvent } from "../run/events/events.js";
import { formatRange } from "../run/plan/time/range-text.js";
import { formatPlan, moreEffort, planMissed, timeText } from "./plan-text.js";

const estimate = {
  deviceBytes: 1,
  hostBytes: 1,
  diskBytes: 1,
  resultBytes: 1,
  seconds: 400,
  range: [300, 540],
  load: 0.8,
} as const;
const plan: PlanEvent = {
  ...{
    event: "plan",
    bitsBudget: null,
    model: "m",
    scheme: "W4A16g64",
    symmetric: true,
    recipe: "cbq",
    preset: "default",
    out: "o",
  },
  effort: {
    ...{ name: "quick", chosen: "device", time: null, values: { samples: 22, window: { epochs: 2 } } },
    wanted: null,
    more: { name: "normal", range: [34000, 50000] },
  },
  ...{ exports: [], device: "cpu", blocks: 1, windows: [[0, 0]], windowSeconds: [1], linears: 7, protected: [] },
  stageSeconds: { before: 300, scoring: 50, texts: 9, writing: 40 },
  ...{ tensors: { quantized: 7, computed: 0, leftOut: [] }, weights: 1, bitsPerWeight: 4, trainedParameters: 1 },
  ...{ calibrationTokens: 1, text: null, selfGenerated: null, estimate, simulatedActivations: null },
};

describe("the plan's time", () => {
  it.each([
    [[300, 540], "5 to 9 min"],
    [[290, 301], "4 to 6 min"],
    [[41, 57], "40 to 60 s"],
    [[1, 3], "about 5 s"],
    [[34000, 50000], "9 to 14 h"],
    [[5000, 7100], "83 to 119 min"],
  ] as const)("of %j seconds is %s", (range, text) => {
    expect(formatRange(range)).toBe(text);
  });

  it("names the load of the machine where there is some", () => {
    expect(timeText(plan)).toBe("5 to 9 min; other programs take 80 % of this CPU now");
    expect(timeText({ ...plan, estimate: { ...estimate, load: 0.05 } })).toBe("5 to 9 min");
  });

  it("is owned up to where it was more than 30 % off", () => {
    expect(planMissed(plan, 400)).toBeNull();
    expect(planMissed(plan, 310)).toBeNull();
    expect(planMissed(plan, 800)).toBe("the plan said 5 to 9 min: 32 % too short");
    expect(planMissed(plan, 200)).toBe("the plan said 5 to 9 min: 50 % too long");
  });

  it("is not called wrong by a time that lies in the range it showed", () => {
    const short: PlanEvent = { ...plan, estimate: { ...estimate, seconds: 6, range: [5, 8] } };
    expect(planMissed(short, 9.6)).toBeNull();
    expect(planMissed(short, 12.5)).toBe("the plan said 5 to 10 s: 20 % too short");
  });
});

describe("the plan's effort", () => {
  it("says in a line what more would cost and give", () => {
    expect(moreEffort(plan)).toMatch(/^quick because this is a CPU; --effort normal takes 9 to 14 h and loses /);
    expect(moreEffort({ ...plan, effort: null })).toBeNull();
    // The gain was measured of CBQ alone.
    expect(moreEffort({ ...plan, recipe: "l4q" })).toMatch(/--effort normal takes 9 to 14 h$/);
  });

  it("is printed with what it sets", () => {
    expect(formatPlan(plan)).toMatch(/^effort: +quick because.*\n +samples=22 window\.epochs=2$/m);
    const given = { name: "best", chosen: "given", time: null, values: {}, wanted: null, more: null } as const;
    expect(formatPlan({ ...plan, effort: given })).toMatch(/^effort: +best$/m);
    const timed = { ...given, name: "normal", chosen: "time", time: "2h" } as const;
    expect(formatPlan({ ...plan, effort: timed })).toMatch(/^effort: +normal, what fits into 2h$/m);
    const short = { ...given, values: { samples: 155 }, wanted: 512 };
    expect(formatPlan({ ...plan, effort: short })).toMatch(/^ +samples=155 \(512 of a text .*--calibration\)$/m);
    expect(formatPlan({ ...plan, effort: null })).not.toContain("effort");
  });
});
