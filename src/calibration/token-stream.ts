import { encodeDocuments, type TokenCacheOptions } from "../checkpoint/tokenizer/token-cache.js";
import type { Tokenizer } from "../checkpoint/tokenizer/tokenizer.js";
import { CalibrationError } from "../errors.js";
import { answerTokens } from "./answer-tokens.js";
import type { Span } from "./chat/answer-spans.js";
import type { Document } from "./text/document.js";

/** The tokens of many documents, one after the other. */
export interface TokenStream {
  readonly ids: Int32Array;
  readonly documents: number;
  /** Bytes beside the ids, 1 for tokens of answers and of documents that are no conversation; left out where none is one. */
  readonly answers?: Uint8Array;
}

/**
 * Encodes documents and concatenates them, each with the model's start token in front; see {@link concatenateTokens}.
 * The same documents are encoded once: then they come from the token cache.
 *
 * @throws CalibrationError when there is no document, and what reading the documents throws; the signal's reason when
 *   it is aborted.
 */
export async function tokenizeDocuments(
  documents: AsyncIterable<Document> | Iterable<Document>,
  tokenizer: Tokenizer,
  options: TokenCacheOptions = {},
): Promise<TokenStream> {
  const texts: string[] = [];
  const answers: (readonly Span[] | undefined)[] = [];
  for await (const document of documents) {
    options.signal?.throwIfAborted();
    texts.push(document.text);
    answers.push(document.answers);
  }
  const encoded = await encodeDocuments(tokenizer, texts, options);
  const stream = concatenateTokens(encoded, tokenizer.startToken);
  if (answers.every((spans) => spans === undefined)) return stream;
  const marks = new Uint8Array(stream.ids.length);
  let at = 0;
  for (const [i, ids] of encoded.entries()) {
    options.signal?.throwIfAborted();
    // A start token that is put in front is nobody's answer.
    if (lacksStart(ids, tokenizer.startToken)) at++;
    const spans = answers[i];
    if (spans === undefined) marks.fill(1, at, at + ids.length);
    else marks.set(answerTokens(tokenizer, texts[i] ?? "", ids, spans), at);
    at += ids.length;
  }
  return { ...stream, answers: marks };
}

/**
 * Concatenates encoded documents. Every document begins with the start token, where the model has one; a chat template
 * may have written it already, and then it stays the only one.
 *
 * @throws CalibrationError when there is no document.
 */
export function concatenateTokens(documents: readonly Int32Array[], startToken: number | null): TokenStream {
  if (documents.length === 0) {
    throw new CalibrationError({ what: "there is no text", next: "give files that hold text" });
  }
  const starts = documents.filter((part) => lacksStart(part, startToken)).length;
  const ids = new Int32Array(documents.reduce((sum, part) => sum + part.length, starts));
  let at = 0;
  for (const part of documents) {
    if (startToken !== null && lacksStart(part, startToken)) ids[at++] = startToken;
    ids.set(part, at);
    at += part.length;
  }
  return { ids, documents: documents.length };
}

function lacksStart(ids: Int32Array, startToken: number | null): boolean {
  return startToken !== null && ids[0] !== startToken;
}
