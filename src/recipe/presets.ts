import type { PresetName, RecipeName, RecipeOptionsInput } from "./options.js";

/** A named set of values. It lies over the schema's defaults and under whatever the user sets. */
export interface Preset {
  /** The recipes that read what it sets. */
  readonly recipes: readonly RecipeName[];
  readonly options: RecipeOptionsInput;
}

export const presets: Readonly<Record<PresetName, Preset>> = {
  default: { recipes: ["rtn", "gptq", "cbq"], options: {} },
  paper: {
    recipes: ["cbq"],
    options: {
      window: {
        size: 2,
        overlap: 1,
        epochs: 3,
        batch: 1,
        secondBranch: true,
        loss: { l2: "plain", l2Weight: 1, klWeight: 1 },
      },
      rounding: { kind: "lora", rank: 5 },
      rotation: "none",
      cfp: { weights: true, activations: true },
      finish: "none",
    },
  },
};

/** Defaults that another option's value brings with it, whatever the preset. */
export interface DependentDefaults {
  /** Dotted name of that option, and its value. */
  readonly option: string;
  readonly value: string;
  readonly defaults: RecipeOptionsInput;
}

/** The schema has those of the kind `code` and of the detection `cbq`. */
export const dependentDefaults: readonly DependentDefaults[] = [
  // Rates mean something else under a sigmoid, and training starts at the weight itself.
  {
    option: "rounding.kind",
    value: "lora",
    defaults: { rounding: { start: "rtn" }, rates: { rounding: 1e-1, scale: 3e-3 } },
  },
  {
    option: "rounding.kind",
    value: "adaround",
    defaults: { rounding: { start: "rtn" }, rates: { rounding: 3e-2, scale: 1e-3 } },
  },
  // That of Huawei's released tool.
  { option: "cfp.detection", value: "msmodelslim", defaults: { cfp: { exponent: 0.7 } } },
];
