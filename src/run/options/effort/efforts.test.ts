import { describe, expect, it } from "vitest";
import { recipeNames, recipeOf } from "../../../recipe/job/recipe-names.js";
import { effortNames } from "../../../recipe/options/efforts.js";
import { optionEntries, optionValue, type UntypedOptions } from "../../../recipe/options/merge-options.js";
import { mayBeRead, readerContext } from "../option-use.js";
import { resolveOptions, resolveOver, schemeOf } from "../options.js";
import { refusal, required } from "../testing/refusal.js";
import { defaultEffort, effortValues } from "./efforts.js";
import { effortLadder } from "./ladder.js";

describe("an effort", () => {
  it("lies over the preset and under what is given", () => {
    const quick = resolveOptions(required, { effort: "quick", preset: "paper" });
    expect(quick).toMatchObject({ effort: "quick", samples: 22, context: 1024, finish: "none" });
    // The effort's epochs, and the paper's batch and rounding.
    expect(quick.window).toMatchObject({ epochs: 2, overlap: 1, batch: 1, secondBranch: true });
    const own = resolveOptions(required, { effort: "quick" });
    expect(own.window).toMatchObject({ epochs: 2, overlap: 0, batch: 1, secondBranch: false });
    expect(quick.rounding.kind).toBe("lora");
    const given = { effort: "quick", samples: 7, window: { epochs: 5 }, finish: "scales" };
    expect(resolveOptions(required, given)).toMatchObject({
      samples: 7,
      context: 1024,
      window: { epochs: 5 },
      finish: "scales",
    });
  });

  it("keeps the end-to-end stage where its settings are given", () => {
    const options = resolveOptions(required, { effort: "quick", endToEnd: { epochs: 1 } });
    expect(options).toMatchObject({ finish: "auto", endToEnd: { epochs: 1 } });
  });

  it("called normal changes nothing of the defaults, and best is more than they are", () => {
    const { effort: _, ...plain } = resolveOptions(required);
    expect(resolveOptions(required, { effort: "normal" })).toEqual({ ...plain, effort: "normal" });
    const best = resolveOptions(required, { effort: "best" });
    expect(best).toMatchObject({ samples: 512, window: { epochs: 20 }, finish: "auto", endToEnd: { epochs: 8 } });
  });

  it.each(recipeNames)("of %s sets only what that recipe reads", (recipe) => {
    for (const name of effortNames) {
      const values = effortValues(name, recipe, {});
      // Where the whole network is trained at once, scales may follow only with another loss, and behind ranges by step never.
      const { hasWindows, needsTimeSteps } = recipeOf(recipe);
      const finish = hasWindows === false || needsTimeSteps === true ? "none" : "scales";
      const options = resolveOver({ ...values, finish }, { ...required, recipe });
      const context = readerContext(options, schemeOf(options));
      for (const [option] of optionEntries(values)) {
        expect([recipe, name, option, mayBeRead(option, context)]).toEqual([recipe, name, option, true]);
      }
    }
  });

  it("is quick on a CPU unless a preset is asked for, and normal on a GPU", () => {
    expect(defaultEffort("cpu", "default")).toBe("quick");
    expect(defaultEffort("cpu", "paper")).toBe("normal");
    expect(defaultEffort("cuda:0", "default")).toBe("normal");
  });

  it("does not go with a time; both ways out work", () => {
    const both = { effort: "best", time: "20min" };
    expect(refusal(both).message).toMatch(/option "time".*--effort best.*leave out --effort, or leave out --time/);
    expect(resolveOptions(required, { time: "20min" }).time).toBe("20min");
    expect(refusal({ time: "soon" }).message).toContain("write it like 90s, 20min");
  });

  it("is no option of a run that reads no text", () => {
    expect(refusal({ recipe: "rtn", calibration: [], effort: "best" }).message).toContain("calibration text");
  });
});

describe("the ladder of efforts", () => {
  const rungs = (recipe: (typeof recipeNames)[number], given: UntypedOptions = {}): ReturnType<typeof effortLadder> =>
    effortLadder(recipe, given, { ...resolveOptions(required, { recipe }), context: 2048 });

  it.each(recipeNames)("of %s rises from little through every effort to best", (recipe) => {
    const all = rungs(recipe);
    expect(all.length).toBeGreaterThan(10);
    for (const name of ["samples", "context", "window.epochs", "blockAp.epochs"]) {
      const values = all.flatMap((rung) => optionValue(rung.values, name) ?? []).map(Number);
      expect(values).toEqual([...values].sort((a, b) => a - b));
    }
    const names = all.map(({ name }) => effortNames.indexOf(name));
    expect(names).toEqual([...names].sort((a, b) => a - b));
    expect(all[0]?.values).toMatchObject({ samples: 4, context: 256 });
    expect(all.at(-1)).toMatchObject({ name: "best", values: { samples: 512 } });
    // The efforts themselves are rungs.
    const at = (name: string): UntypedOptions => all.find((rung) => rung.name === name)?.values ?? {};
    expect(at("normal")).toMatchObject({ samples: 128, context: 2048 });
    expect(all.some(({ values }) => values["samples"] === 22 && values["context"] === 1024)).toBe(true);
  });

  it("trains end to end only from where an epoch of it is due", () => {
    for (const { name, values } of rungs("cbq")) {
      const epochs = optionValue(values, "endToEnd.epochs");
      expect([name, values["finish"]]).toEqual([name, epochs === undefined ? "none" : undefined]);
      if (epochs !== undefined) expect(epochs).toBeGreaterThan(0);
    }
  });
});
