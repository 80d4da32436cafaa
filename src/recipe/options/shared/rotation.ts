import { z } from "zod";
import { fragment } from "../fragment.js";
import { always } from "../reading.js";

/** What may be done to the whole model before its first window. */
export const rotationOptions = fragment(z.enum(["auto", "none", "hadamard"]).default("auto"), always, {
  help: (recipes) => {
    const rotating = recipes.filter((recipe) => recipe.rotatesByDefault).map(({ name }) => name);
    return `rotate the hidden states and the values of each head, so that no channel is an outlier: hadamard, or none; auto rotates for ${rotating.join(" and ")} with inputs of 4 bits`;
  },
});
