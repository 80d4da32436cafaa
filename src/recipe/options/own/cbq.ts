import { type Cost, gridParameterCount, type OptionsOf } from "../../recipe.js";
import { part } from "../fragment.js";
import { when } from "../reading.js";
import { activationOptions } from "../shared/activation.js";
import { affineFirstOptions, checkTransform, transformOptions } from "../shared/affine.js";
import { boaOptions } from "../shared/boa.js";
import { cfpOptions } from "../shared/cfp.js";
import { gptqOptions } from "../shared/gptq.js";
import { ratesOptions, scheduleOptions } from "../shared/rates.js";
import { checkStart, roundingOptions, startingFromBoa } from "../shared/rounding.js";
import { windowOptions } from "../shared/window.js";

/** What CBQ reads. */
export const cbqOptions = {
  window: windowOptions,
  rounding: roundingOptions,
  rates: ratesOptions,
  schedule: scheduleOptions,
  gptq: gptqOptions,
  boa: part(boaOptions, when(startingFromBoa)),
  cfp: cfpOptions,
  activation: activationOptions,
  transform: transformOptions,
  affine: affineFirstOptions,
};

type Options = OptionsOf<typeof cbqOptions>;

/** What measures best, and what the paper has. */
export const cbqPresets = {
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
} as const;

/** How long it trains at an effort. */
export const cbqEfforts = {
  // Few steps are worth more than few tokens a step, and than seeing a block twice (docs/measurements/effort.md).
  quick: { window: { epochs: 2, overlap: 0, batch: 1 }, finish: "none" },
  best: { window: { epochs: 20 }, endToEnd: { epochs: 8 } },
} as const;

/** What a window takes. */
export function cbqCost({ window, rounding, boa, transform, affine }: Options): Cost {
  return {
    trains: true,
    moments: rounding.start === "rtn" ? "none" : "block",
    columns: rounding.start !== "rtn",
    ...(rounding.start === "boa" && { attention: boa.blockV ? "values" : "rows" }),
    ...(transform === "affine" && { folds: true, stores: 1 }),
    // Of the two blocks of a window one is new to it.
    passes: 3 * (window.epochs + (transform === "affine" ? affine.epochs / 2 : 0)) + 4,
    parameters: (linear) => {
      const { rows, columns } = linear;
      const offset = rounding.kind === "lora" ? rounding.rank * (rows + columns) : rows * columns;
      return offset + gridParameterCount(linear);
    },
    normParameters: 0,
  };
}

/** @throws OptionError for options that do not go together */
export function checkCbq(options: Options): void {
  checkStart(options.rounding);
  checkTransform(options);
}
