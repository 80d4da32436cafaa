import { OptionError } from "../errors.js";
import type { RecipeName, RecipeOptions } from "./options.js";

/**
 * Codes to start from go with the rounding that is made of codes.
 *
 * @throws OptionError for a start that the rounding of `cbq` can't have
 */
export function checkRoundingStart(recipe: RecipeName, { kind, start }: RecipeOptions["rounding"]): void {
  if (recipe !== "cbq" || start !== "gptq" || kind === "code") return;
  throw new OptionError({
    where: "rounding.start",
    what: `"gptq" does not go with the rounding "${kind}", which starts at the weight itself`,
    next: "use --set rounding.kind=code or --set rounding.start=rtn",
  });
}
