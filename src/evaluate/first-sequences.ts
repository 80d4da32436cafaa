import type { TokenSequences } from "../calibration/token-sequences.js";

/** The first `limit` sequences of a text, or all of fewer. The ids are a view of the text's. */
export function firstSequences(text: TokenSequences, limit: number | null): TokenSequences {
  if (limit === null || limit >= text.sequences) return text;
  return { ...text, ids: text.ids.subarray(0, limit * text.context), sequences: limit };
}
