import type { PresetName, RecipeOptionsInput, RoundingKind } from "./options.js";

/** Values that differ from the schema's defaults. A preset lies under whatever the user sets. */
export const presets: Readonly<Record<PresetName, RecipeOptionsInput>> = {
  default: {},
  paper: {
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
};

/** Values that go with a rounding whatever the preset: rates mean something else under a sigmoid. */
export const roundingDefaults: Readonly<Record<RoundingKind, RecipeOptionsInput>> = {
  code: { rounding: { start: "gptq" } },
  lora: { rates: { rounding: 1e-1, scale: 3e-3 } },
  adaround: { rates: { rounding: 3e-2, scale: 1e-3 } },
};
