import { describe, expect, it } from "vitest";
import { OptionError } from "../../errors.js";
import { type GivenOptions, resolveOptions, type UntypedOptions } from "./options.js";
import { withRecipeSection } from "./recipe-sections.js";

describe("a file that several recipes share", () => {
  const file = {
    scheme: "W4A16",
    samples: 16,
    recipes: { cbq: { window: { epochs: 3 } }, gptq: { gptq: { damping: 0.1 }, samples: 8 } },
  };
  const resolved = (over: UntypedOptions): GivenOptions =>
    resolveOptions({ model: "m", out: "o", calibration: ["t"] }, withRecipeSection(file, over), over);

  it("has a section for each, which lies over what they share and under the command line", () => {
    expect(resolved({})).toMatchObject({ recipe: "cbq", samples: 16, window: { epochs: 3 } });
    expect(resolved({ recipe: "gptq" })).toMatchObject({ samples: 8, gptq: { damping: 0.1 } });
    expect(resolved({ recipe: "gptq", samples: 4 })).toMatchObject({ samples: 4 });
    expect(withRecipeSection({ ...file, recipe: "gptq" }, {})).toMatchObject({ samples: 8 });
  });

  it.each<[unknown, RegExp]>([
    [{ gptg: {} }, /"recipes\.gptg".*did you mean "recipes\.gptq"/],
    [{ gptq: { dampng: 1 } }, /"recipes\.gptq\.dampng".*Next: /],
    [{ gptq: { recipe: "rtn" } }, /"recipes\.gptq\.recipe".*Next: /],
    [["gptq"], /option "recipes".*Next: /],
    [{ gptq: 3 }, /option "recipes\.gptq".*Next: /],
  ])("is refused with %j", (recipes, message) => {
    expect(() => withRecipeSection({ recipes }, {})).toThrow(OptionError);
    expect(() => withRecipeSection({ recipes }, {})).toThrow(message);
  });
});
