import { recipeOf } from "../../../recipe/job/recipe-names.js";
import { bundled, selfGenerated } from "../calibration-option.js";
import type { GivenOptions } from "../options.js";

/** What a run calibrates on to which no text was given. */
export interface DefaultText {
  readonly calibration: typeof bundled | typeof selfGenerated;
  /** Why this one. */
  readonly why: string;
}

/**
 * The text of a run that needs one and was given none, whatever it is worth and wherever it computes: text that the model makes
 * up was not measured to be better than the bundled text, and takes time (docs/measurements/ablations.md). Without a tokenizer
 * no text can be encoded; what the model makes up is tokens from the beginning.
 */
export function defaultCalibration(hasTokenizer: boolean): DefaultText {
  return hasTokenizer
    ? { calibration: bundled, why: "no --calibration was given" }
    : {
        calibration: selfGenerated,
        why: "no --calibration was given, and without tokenizer.json no text can be encoded",
      };
}

/**
 * Whether something in a run looks at text even where none is given: its recipe, ranges of inputs that are measured once,
 * a budget of bits, or end-to-end training that was asked for.
 */
export function needsText(
  { recipe, finish, activation, bitsBudget }: Pick<GivenOptions, "recipe" | "finish" | "activation" | "bitsBudget">,
  { activationBits }: { readonly activationBits: number },
): boolean {
  const staticInputs = activation.granularity === "tensor" && activationBits < 16;
  return recipeOf(recipe).needsText || staticInputs || finish === "scales" || bitsBudget !== null;
}

/** The options of a run with the text that it calibrates on, and why that was chosen; null where it was given, or none is needed. */
export function withDefaultText(
  given: GivenOptions,
  scheme: { readonly activationBits: number },
  hasTokenizer: boolean,
): { readonly options: GivenOptions; readonly why: string | null } {
  if (given.calibration.length > 0 || !needsText(given, scheme)) return { options: given, why: null };
  const { calibration, why } = defaultCalibration(hasTokenizer);
  return { options: { ...given, calibration: [calibration] }, why };
}
