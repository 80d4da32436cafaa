import type { Tokenizer } from "../checkpoint/tokenizer/tokenizer.js";
import type { Span } from "./chat/answer-spans.js";

/**
 * Which tokens of a text lie in its answers: bytes, 1 for those and 0 for others. A span begins behind the tokens that the
 * text before it shares with the whole: so the ids are those of the text as it is, whatever is an answer.
 *
 * @param ids of the whole text
 */
export function answerTokens(
  tokenizer: Pick<Tokenizer, "encode">,
  text: string,
  ids: Int32Array,
  spans: readonly Span[],
): Uint8Array {
  const marks = new Uint8Array(ids.length);
  const tokensBefore = (at: number): number => {
    if (at >= text.length) return ids.length;
    const start = tokenizer.encode(text.slice(0, at));
    const other = start.findIndex((id, i) => id !== ids[i]);
    return other < 0 ? Math.min(start.length, ids.length) : other;
  };
  for (const [from, to] of spans) marks.fill(1, tokensBefore(from), tokensBefore(to));
  return marks;
}
