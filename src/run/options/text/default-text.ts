import { recipeOf } from "../../../recipe/job/recipe-names.js";
import type { EffortName } from "../../../recipe/options/efforts.js";
import type { Device } from "../../../tensor/index.js";
import { bundled, selfGenerated } from "../calibration-option.js";
import { defaultEffort } from "../effort/efforts.js";
import type { GivenOptions } from "../options.js";

/** What a run calibrates on to which no text was given. */
export interface DefaultText {
  readonly calibration: typeof bundled | typeof selfGenerated;
  /** Why this one, in words that follow "because". */
  readonly why: string;
}

/** The text of a run that needs one and was given none, by what it is worth and where it computes. */
export function defaultCalibration(effort: EffortName, device: string): DefaultText {
  if (device === "cpu") {
    return {
      calibration: bundled,
      why: "no --calibration was given, and a CPU takes long to have the model make text up",
    };
  }
  return effort === "quick"
    ? { calibration: bundled, why: "no --calibration was given, and bundled text is there at once" }
    : {
        calibration: selfGenerated,
        why: "no --calibration was given, and text that the model makes up serves it best",
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
  { device, hasTokenizer }: { readonly device: Device; readonly hasTokenizer: boolean },
): { readonly options: GivenOptions; readonly why: string | null } {
  if (given.calibration.length > 0 || !needsText(given, scheme)) return { options: given, why: null };
  // Without a tokenizer no text can be encoded; the model's own is tokens from the beginning.
  const { calibration, why } = hasTokenizer
    ? defaultCalibration(given.effort ?? defaultEffort(device, given.preset), device)
    : {
        calibration: selfGenerated,
        why: "no --calibration was given, and without tokenizer.json no text can be encoded",
      };
  return { options: { ...given, calibration: [calibration] }, why };
}
