import type { HeldOutSize } from "../../calibration/held-out-sequences.js";

/** What every run scores of the text that it is not calibrated on. */
export const SCORED: HeldOutSize = { sequences: 4, context: 512 };

/** Bytes of the logits of one network that exist at once, in fp32. */
export const LOGIT_BYTES = 32 * 2 ** 20;

/** What source, result and round to nearest write for the page. */
export const SAMPLES = { prompts: 2, tokens: 24 } as const;

/** Of networks up to this size texts are written whatever else the run needs, unless it has a budget: bytes in the products' dtype. */
export const SMALL_NETWORK = 1e9;

/** Up to so many weights are rounded to nearest once more, to write texts. */
export const FEW_WEIGHTS = 250e6;
