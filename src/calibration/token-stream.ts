import { CalibrationError } from "../errors.js";
import type { Document } from "./documents.js";

/** What calibration needs of a tokenizer. */
export interface DocumentEncoder {
  /** Token ids of the text alone, without the tokens that a tokenizer adds around a text. */
  encode(text: string): Int32Array | Promise<Int32Array>;
  /** The token that begins a document; null where the model has none. */
  readonly startToken: number | null;
}

/** The tokens of many documents, one after the other. */
export interface TokenStream {
  readonly ids: Int32Array;
  readonly documents: number;
}

/**
 * Encodes documents and concatenates them. Every document begins with the start token, where the model has one; a chat
 * template may have written it already, and then it stays the only one.
 *
 * @throws CalibrationError when there is no document; the signal's reason when it is aborted between two documents.
 */
export async function tokenizeDocuments(
  documents: AsyncIterable<Document> | Iterable<Document>,
  tokenizer: DocumentEncoder,
  signal?: AbortSignal,
): Promise<TokenStream> {
  const parts: Int32Array[] = [];
  let count = 0;
  let length = 0;
  for await (const { text } of documents) {
    signal?.throwIfAborted();
    const ids = await tokenizer.encode(text);
    const { startToken } = tokenizer;
    if (startToken !== null && ids[0] !== startToken) {
      parts.push(Int32Array.of(startToken));
      length += 1;
    }
    parts.push(ids);
    length += ids.length;
    count += 1;
  }
  if (count === 0) throw new CalibrationError({ what: "there is no text", next: "give files that hold text" });
  const stream = new Int32Array(length);
  let at = 0;
  for (const part of parts) {
    stream.set(part, at);
    at += part.length;
  }
  return { ids: stream, documents: count };
}
