import { CalibrationError } from "../../errors.js";
import type { Message } from "./conversation.js";

/** Characters `from` to `to` (excluded) of a text. */
export type Span = readonly [from: number, to: number];

/**
 * Where a conversation's text has what the assistant says, with what ends its turn: what follows the text with which a model
 * is asked for this answer, up to where the text ends that has this turn as its last. Where a template writes earlier turns
 * otherwise once later ones follow, the turn's content is looked for.
 *
 * @param text of all messages
 * @param render writes some of them; `asking`: so that an answer would follow
 */
export function answerSpans(
  text: string,
  messages: readonly Message[],
  render: (messages: readonly Message[], asking: boolean) => string,
): Span[] {
  const written = (count: number, asking: boolean): string | null => {
    try {
      const start = render(messages.slice(0, count), asking);
      return text.startsWith(start) ? start : null;
    } catch (error) {
      // A template may refuse what is no whole conversation.
      if (error instanceof CalibrationError) return null;
      throw error;
    }
  };
  const spans: Span[] = [];
  for (const [i, message] of messages.entries()) {
    if (message.get("role") !== "assistant") continue;
    const before = written(i, true);
    const through = written(i + 1, false);
    if (before !== null && through !== null && through.length > before.length) {
      spans.push([before.length, through.length]);
      continue;
    }
    const content = message.get("content");
    const words = typeof content === "string" ? content.trim() : "";
    const from = words === "" ? -1 : text.indexOf(words, spans.at(-1)?.[1] ?? 0);
    if (from >= 0) spans.push([from, from + words.length]);
  }
  return spans;
}
