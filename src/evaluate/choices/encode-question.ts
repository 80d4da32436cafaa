import type { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { CalibrationError } from "../../errors.js";
import type { ChoiceQuestion } from "./choice-questions.js";
import type { Continuations } from "./continuation-likelihoods.js";

/**
 * A question as token ids: a context of one token or more, which begins with the start token where the model has one,
 * and choices of one token or more.
 */
export interface EncodedQuestion extends Continuations {
  /** Bytes of the choices as they were given, in UTF-8. */
  readonly lengths: readonly number[];
  readonly answer: number;
}

/** What has to be encoded for a question: its context, and that with each choice after it. */
export interface QuestionTexts {
  readonly context: string;
  readonly wholes: readonly string[];
}

/**
 * The texts of a question as lm-evaluation-harness cuts them: white space at the end of the context belongs to the
 * choices, because tokens of most vocabularies begin with it. Where neither side has any, and there is a context, the
 * delimiter stands between them.
 */
export function questionTexts({ context, choices }: ChoiceQuestion, delimiter: string): QuestionTexts {
  const trimmed = context.trimEnd();
  const space = context.slice(trimmed.length);
  const wholes = choices.map((choice) => {
    const needed = context !== "" && space === "" && choice.trimStart() === choice;
    return `${trimmed}${needed ? delimiter : space}${choice}`;
  });
  return { context: trimmed, wholes };
}

/**
 * The tokens of a question: those of a choice are what context and choice together have beyond the number of tokens
 * that the context has alone.
 *
 * @param encoded ids of `questionTexts`, without start token
 * @throws CalibrationError for a choice without tokens, and where a model without start token has no context to go by
 */
export function encodeQuestion(
  question: ChoiceQuestion,
  encoded: { readonly context: Int32Array; readonly wholes: readonly Int32Array[] },
  tokenizer: Pick<Tokenizer, "startToken" | "eosTokens">,
): EncodedQuestion {
  const { startToken, eosTokens } = tokenizer;
  const begin = encoded.context.length;
  // A text may spell the start token out.
  const hasStart = startToken !== null && encoded.context[0] === startToken;
  // What precedes a text that begins with nothing: the end of the one before, for models without a start token.
  const prefix = startToken ?? (begin === 0 ? eosTokens[0] : undefined);
  const context =
    prefix === undefined || hasStart ? encoded.context.slice() : Int32Array.from([prefix, ...encoded.context]);
  if (context.length === 0) {
    throw new CalibrationError({
      what: "the context is empty",
      where: question.source,
      why: "the model has neither a start nor an end token that could stand before the choices",
      next: "give the question a context",
    });
  }
  const continuations = encoded.wholes.map((ids, i) => {
    if (ids.length > begin) return ids.slice(begin);
    throw new CalibrationError({
      what: `choice ${i} adds no token to its context`,
      where: question.source,
      why: begin === 0 ? "the tokenizer knows none of its characters" : "it melts into the context's last token",
      next: "begin the choice with a space, or end the context before the word that it completes",
    });
  });
  const lengths = question.choices.map((choice) => Buffer.byteLength(choice));
  return { context, continuations, lengths, answer: question.answer, source: question.source };
}
