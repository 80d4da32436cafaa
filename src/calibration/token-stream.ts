import { encodeDocuments, type TokenCacheOptions } from "../checkpoint/tokenizer/token-cache.js";
import type { Tokenizer } from "../checkpoint/tokenizer/tokenizer.js";
import { CalibrationError } from "../errors.js";
import type { Document } from "./text/document.js";

/** The tokens of many documents, one after the other. */
export interface TokenStream {
  readonly ids: Int32Array;
  readonly documents: number;
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
  for await (const { text } of documents) {
    options.signal?.throwIfAborted();
    texts.push(text);
  }
  return concatenateTokens(await encodeDocuments(tokenizer, texts, options), tokenizer.startToken);
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
  const lacksStart = (ids: Int32Array): boolean => startToken !== null && ids[0] !== startToken;
  const ids = new Int32Array(documents.reduce((sum, part) => sum + part.length + (lacksStart(part) ? 1 : 0), 0));
  let at = 0;
  for (const part of documents) {
    if (startToken !== null && lacksStart(part)) ids[at++] = startToken;
    ids.set(part, at);
    at += part.length;
  }
  return { ids, documents: documents.length };
}
