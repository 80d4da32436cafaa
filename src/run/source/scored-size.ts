import type { HeldOutSize } from "../../calibration/held-out-sequences.js";

/** What every run scores of the text that it is not calibrated on. */
export const SCORED: HeldOutSize = { sequences: 4, context: 512 };

/** Bytes of the logits of one network that exist at once, in fp32. */
export const LOGIT_BYTES = 32 * 2 ** 20;
