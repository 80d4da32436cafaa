import { columns } from "./column-solver.js";
import { gptq } from "./gptq.js";
import { nearestRule } from "./layer-rule.js";
import type { Recipe } from "./recipe.js";

/** Round to nearest on a clip-searched range: the baseline that needs no text. */
export const rtn: Recipe = {
  ...gptq,
  name: "rtn",
  paper: "none: the baseline that every paper compares with",
  needsText: false,
  cost: () => ({ trains: false, moments: "none", passes: 3 }),
  solve: (window) => columns(window, nearestRule(window.job.options)),
};
