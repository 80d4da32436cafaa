import { OptionError } from "../../errors.js";
import { type DecoderSpec, rotationObstacle } from "../../network/index.js";
import type { Scheme } from "../../quant/scheme.js";
import type { EngineOptions } from "../options/engine-options.js";
import { declares } from "../options/option-readers.js";
import type { Recipe } from "../recipe.js";

/** Inputs of so few bits are rotated by default: 7 points on SmolLM2-135M at W4A4 (docs/measurements/ablations.md). */
const MOST_ROTATED_BITS = 4;

/**
 * Whether a model is rotated before it is quantized: as the options say, or where the recipe wants it for inputs of 4 bits and
 * the network allows it.
 *
 * @throws OptionError when a rotation is asked for that would change what the network computes
 */
export function wantsRotation(
  recipe: Recipe,
  { rotation }: Pick<EngineOptions, "rotation">,
  scheme: Scheme,
  spec: DecoderSpec,
): boolean {
  const obstacle = rotationObstacle(spec);
  if (rotation === "hadamard" && obstacle !== null) {
    throw new OptionError({
      where: 'option "rotation"',
      what: `a model of the family "${spec.family}" can't be rotated: ${obstacle}`,
      next: `use --set rotation=none${declares(recipe, "cfp.activations") ? "; --set cfp.activations=true folds outliers instead" : ""}`,
    });
  }
  if (rotation !== "auto") return rotation === "hadamard";
  return obstacle === null && recipe.rotatesByDefault && scheme.activationBits <= MOST_ROTATED_BITS;
}
