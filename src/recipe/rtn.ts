import { gptq } from "./gptq.js";
import { defineRecipe } from "./recipe.js";
import { columns } from "./solve/column-solver.js";
import { nearestRule } from "./solve/layer-rule.js";

/** Round to nearest on a clip-searched range: the baseline that needs no text. */
export const rtn = defineRecipe({
  ...gptq,
  name: "rtn",
  title: "round to nearest: the baseline, which needs no text",
  paper: "no paper",
  about: {
    trains: "nothing",
    use: "a first look at a scheme, and what others are compared with",
    cost: "the weights once, no text: seconds",
  },
  options: {},
  presets: { default: {} },
  onlyRounds: true,
  needsText: false,
  cost: () => ({ trains: false, moments: "none", passes: 3, parameters: () => 0, normParameters: 0 }),
  solve: (window) => columns(window, nearestRule(window.job.options)),
});
