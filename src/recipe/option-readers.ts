import { isOptionGroup } from "./merge-options.js";
import { type RecipeName, type RecipeOptions, recipeNames } from "./options.js";
import { wantsFinish } from "./windows.js";

/** What decides whether an option is read. */
export interface ReaderContext {
  readonly recipe: RecipeName;
  /** Resolved; `rotation` may still be `auto`. */
  readonly options: RecipeOptions;
  /** 16 where inputs are not quantized. */
  readonly activationBits: number;
  readonly symmetric: boolean;
  /** Whether calibration text is read. */
  readonly hasText: boolean;
}

/** What must hold for an option to be read. */
export interface ReadCondition {
  /** As help and errors say it, behind "with": "rounding.kind=lora". */
  readonly text: string;
  /** What a user does to have it hold. */
  readonly action: string;
  holds(context: ReaderContext): boolean;
  /** Where only the model decides: whether it holds for some. Defaults to `holds`. */
  mayHold?(context: ReaderContext): boolean;
}

/** Recipes that read an option, and all that must hold for them to do so. */
export interface OptionReader {
  readonly recipes: readonly RecipeName[];
  readonly conditions: readonly ReadCondition[];
}

/** Readers of an option, or of all in a group. */
type ReaderTree<T> =
  | readonly OptionReader[]
  | (T extends readonly unknown[]
      ? never
      : T extends object
        ? { readonly [Key in keyof T]: ReaderTree<T[Key]> }
        : never);

export const withText: ReadCondition = {
  text: "calibration text",
  action: "give --calibration PATH",
  holds: ({ hasText }) => hasText,
};
export const withRotation: ReadCondition = {
  text: "rotation=hadamard",
  action: "use --set rotation=hadamard",
  holds: ({ options }) => options.rotation === "hadamard",
};
/** Windows learn something. */
export const withTraining = setting("window.epochs above 0", "window.epochs=10", ({ window }) => window.epochs > 0);
const lora = setting("rounding.kind=lora", "rounding.kind=lora", ({ rounding }) => rounding.kind === "lora");
const soft = setting(
  "rounding.kind=lora or adaround",
  "rounding.kind=lora",
  ({ rounding }) => rounding.kind !== "code",
);
const searching = setting("range.search=true", "range.search=true", ({ range }) => range.search);
const squaring = setting(
  "window.loss.l2Weight above 0",
  "window.loss.l2Weight=1",
  ({ window }) => window.loss.l2Weight > 0,
);
const asymmetric: ReadCondition = { text: "--asym", action: "give --asym", holds: ({ symmetric }) => !symmetric };
const quantizedInputs: ReadCondition = {
  text: "a scheme that quantizes inputs (W4A8, W4A4)",
  action: "choose a scheme like W4A8",
  holds: ({ activationBits }) => activationBits < 16,
};
const learningClips = setting(
  "activation.learnClip=true",
  "activation.learnClip=true",
  ({ activation }) => activation.learnClip,
);
const finishing: ReadCondition = {
  text: "a last stage",
  action: "use --finish scales",
  holds: ({ recipe, options }) => wantsFinish(recipe, options),
};
const truncating = setting("cfp.weights=true", "cfp.weights=true", ({ cfp }) => cfp.weights);
// Where both are left open the model decides: what can be rotated is not folded.
const folding: ReadCondition = {
  text: "cfp.activations=true",
  action: "use --set cfp.activations=true",
  holds: ({ options }) => options.cfp.activations === true,
  mayHold: ({ options, activationBits }) => options.cfp.activations ?? activationBits <= 4,
};
const detecting: ReadCondition = {
  text: "cfp.weights=true or cfp.activations=true",
  action: "use --set cfp.weights=true or cfp.activations=true",
  holds: (context) => truncating.holds(context) || folding.holds(context),
  mayHold: (context) => truncating.holds(context) || folding.mayHold?.(context) === true,
};

const all = reader(recipeNames);
const layerwise = ["rtn", "gptq"] as const;
const cbq = (...conditions: readonly ReadCondition[]): readonly OptionReader[] => [reader(["cbq"], ...conditions)];
const lastStage = (...conditions: readonly ReadCondition[]): OptionReader =>
  reader(recipeNames, finishing, ...conditions);

/** Who reads which option of the algorithms. */
const readers: ReaderTree<RecipeOptions> = {
  window: {
    size: cbq(),
    overlap: cbq(),
    epochs: cbq(),
    batch: cbq(withTraining),
    microBatch: [reader(recipeNames, withText)],
    secondBranch: cbq(),
    loss: { l2: cbq(squaring), l2Weight: cbq(), klWeight: cbq() },
  },
  rounding: {
    kind: cbq(),
    rank: cbq(lora),
    regulariser: cbq(soft, withTraining),
    start: cbq(),
  },
  rates: {
    rounding: cbq(withTraining),
    scale: cbq(withTraining),
    zeroPoint: cbq(asymmetric, withTraining),
    activation: cbq(quantizedInputs, learningClips, withTraining),
  },
  schedule: [reader(["cbq"], withTraining), lastStage()],
  range: { search: [all], candidates: [reader(recipeNames, searching)] },
  // cbq starts from GPTQ's codes, and falls back to them where training never becomes finite.
  gptq: [reader(["gptq", "cbq"])],
  rotation: [all],
  cfp: {
    weights: cbq(),
    activations: cbq(),
    detection: cbq(detecting),
    exponent: cbq(folding),
    lambda1: cbq(detecting),
    lambda2: cbq(detecting),
    perRow: cbq(truncating),
  },
  activation: {
    granularity: [reader(recipeNames, quantizedInputs)],
    learnClip: [reader(["cbq"], quantizedInputs), reader(layerwise, quantizedInputs, finishing)],
  },
  finish: [all],
  endToEnd: {
    epochs: [lastStage()],
    batch: [lastStage()],
    scaleRate: [lastStage()],
    activationRate: [lastStage(quantizedInputs, learningClips)],
  },
  overrides: [all],
};

/** Who reads the option of a dotted name; null for a name that is none of the algorithms'. */
export function readersOf(name: string): readonly OptionReader[] | null {
  let at: unknown = readers;
  for (const key of name.split(".")) {
    if (Array.isArray(at)) break;
    at = isOptionGroup(at) ? at[key] : undefined;
  }
  return Array.isArray(at) ? (at as readonly OptionReader[]) : null;
}

/** Recipes that read an option under conditions. */
export function reader(recipes: readonly RecipeName[], ...conditions: readonly ReadCondition[]): OptionReader {
  return { recipes, conditions };
}

function setting(text: string, assignment: string, holds: (options: RecipeOptions) => boolean): ReadCondition {
  return { text, action: `use --set ${assignment}`, holds: ({ options }) => holds(options) };
}
