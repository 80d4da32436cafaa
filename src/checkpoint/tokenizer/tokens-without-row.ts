import { CheckpointError } from "../../errors.js";
import { quote } from "../json/json.js";
import type { AddedToken } from "./added-tokens.js";

/**
 * Most added tokens that may lie beyond the embedding. Many fine-tunes name a padding token, and tokens of a chat, for which they
 * have no row; more of them mean that the tokenizer is another model's.
 */
const mostWithoutRow = 8;

/** What a tokenizer can produce, for a comparison with an embedding. */
export interface TokenIds {
  readonly added: readonly AddedToken[];
  /** Largest id of the vocabulary itself, without added tokens. */
  readonly largest: number;
  readonly startToken: number | null;
}

/**
 * The added tokens for which an embedding of `rows` rows has none: a model runs without them, as long as no text holds one.
 *
 * @param where path of tokenizer.json
 * @throws CheckpointError when the vocabulary itself is larger, when they are many, and when every text would hold one
 */
export function tokensWithoutRow(tokens: TokenIds, rows: number, where: string): readonly AddedToken[] {
  const { added, largest, startToken } = tokens;
  const beyond = added.filter(({ id }) => id >= rows);
  const size = Math.max(largest, ...added.map(({ id }) => id)) + 1;
  if (largest >= rows || beyond.length > mostWithoutRow) {
    const last = added.find(({ id }) => id === size - 1);
    throw new CheckpointError({
      what: `the tokenizer has ${size} ids but the model has only ${rows} (vocab_size of config.json)`,
      where,
      why: `${last === undefined ? "" : `id ${size - 1} is ${quote(last.content)}; `}tokenizer and weights don't belong together`,
      next: "put the tokenizer files of this very model beside its config.json",
    });
  }
  if (startToken !== null && startToken >= rows) {
    const content = beyond.find(({ id }) => id === startToken)?.content;
    throw new CheckpointError({
      what: `every text begins with the token ${content === undefined ? "" : `${quote(content)} `}(id ${startToken}), and the model has ${rows} rows`,
      where,
      why: 'it is the "bos_token" of tokenizer_config.json, or the "bos_token_id" of the model where that names none',
      next: 'name a "bos_token" there that the model was trained with, or null where it had none',
    });
  }
  return beyond;
}
