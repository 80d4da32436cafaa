import type { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { ChatFormat, type ChatSource } from "../chat/chat-format.js";
import type { Message } from "../chat/conversation.js";

/** What is read of a tokenizer here. */
type Boundaries = ChatSource & Pick<Tokenizer, "startToken" | "eosTokens" | "specialTokens" | "tokenText">;

/** Where one text of the training data ends and another begins, as tokenizers of the supported families call it. */
const separators: ReadonlySet<string> = new Set([
  "<|endoftext|>",
  "<|end_of_text|>",
  "<|end▁of▁sentence|>",
  "<eos>",
  "</s>",
]);

/** The tokens around the documents of a model's training data. */
export interface DocumentBounds {
  /** What a document begins with; null where no token of the vocabulary says so. */
  readonly start: number | null;
  /** What ends one. */
  readonly ends: ReadonlySet<number>;
}

/**
 * The tokens between which documents stood when a model was trained first. That is the start token, unless the chat template
 * writes it in front of one turn after the other: then instruction tuning gave that role to the mark of a turn (`<|im_start|>`), and the
 * documents of the far longer training before it began with what separated them. The same token begins documents where the
 * tokenizer names no start token (Qwen).
 */
export function documentBounds(tokenizer: Boundaries): DocumentBounds {
  const { startToken, eosTokens, specialTokens } = tokenizer;
  const separator = [...specialTokens].find(([text]) => separators.has(text))?.[1] ?? null;
  const start = startToken !== null && !marksTurns(tokenizer) ? startToken : (separator ?? startToken);
  return { start, ends: new Set(separator === null ? eosTokens : [...eosTokens, separator]) };
}

function marksTurns(tokenizer: Boundaries): boolean {
  const mark = tokenizer.startToken === null ? null : tokenizer.tokenText(tokenizer.startToken);
  if (mark === null || tokenizer.chatTemplate === null) return false;
  const turns = ["user", "assistant", "user"].map(
    (role): Message =>
      new Map([
        ["role", role],
        ["content", "text"],
      ]),
  );
  try {
    const text = new ChatFormat(tokenizer).render(turns, null, "chat template");
    return text.split(mark).length > 2;
  } catch {
    // A template that can't be followed says nothing of the start token.
    return false;
  }
}
