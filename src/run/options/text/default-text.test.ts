import { describe, expect, it } from "vitest";
import { resolveOptions, schemeOf, type UntypedOptions } from "../options.js";
import { withDefaultText } from "./default-text.js";

function textOf(more: UntypedOptions, hasTokenizer = true): { calibration: readonly string[]; why: string | null } {
  const given = resolveOptions({ model: "m", scheme: "W4A4", out: "o", recipe: "gptq", ...more });
  const { options, why } = withDefaultText(given, schemeOf(given), hasTokenizer);
  return { calibration: options.calibration, why };
}

describe("the text of a run to which none was given", () => {
  it("is chosen where something needs text, and left alone where it was given", () => {
    expect(textOf({})).toEqual({
      calibration: ["bundled"],
      why: expect.stringMatching(/^no --calibration was given/),
    });
    expect(textOf({ calibration: ["a.txt"] })).toEqual({ calibration: ["a.txt"], why: null });
    expect(textOf({ recipe: "rtn" })).toEqual({ calibration: [], why: null });
    expect(textOf({ recipe: "rtn", finish: "scales" }).calibration.length).toBe(1);
    expect(textOf({ recipe: "rtn", activation: { granularity: "tensor" } }).calibration.length).toBe(1);
    // Inputs that stay as they are have no ranges.
    expect(textOf({ recipe: "rtn", scheme: "W4A16" })).toEqual({ calibration: [], why: null });
  });

  it("is the model's own where nothing can be encoded", () => {
    const { calibration, why } = textOf({}, false);
    expect(calibration).toEqual(["self-generated"]);
    expect(why).toMatch(/without tokenizer\.json/);
  });
});
