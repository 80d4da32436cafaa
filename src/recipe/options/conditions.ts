import { wantsFinish } from "../end-to-end/windows.js";
import { type ReadCondition, setting } from "./reading.js";

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
export const withTraining = setting<{ readonly window: { readonly epochs: number } }>(
  "window.epochs above 0",
  "window.epochs=10",
  ({ window }) => window.epochs > 0,
);

export const asymmetric: ReadCondition = {
  text: "--asym",
  action: "give --asym",
  holds: ({ symmetric }) => !symmetric,
};

export const quantizedInputs: ReadCondition = {
  text: "a scheme that quantizes inputs (W4A8, W4A4)",
  action: "choose a scheme like W4A8",
  holds: ({ activationBits }) => activationBits < 16,
};

export const learningClips = setting<{ readonly activation: { readonly learnClip: boolean } }>(
  "activation.learnClip=true",
  "activation.learnClip=true",
  ({ activation }) => activation.learnClip,
);

/** All blocks are trained end to end after the last window. */
export const withEndToEnd: ReadCondition = {
  text: "end-to-end training",
  action: "use --finish scales",
  holds: ({ recipe, options }) => wantsFinish(recipe, options),
};
