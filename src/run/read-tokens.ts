import { readDocuments } from "../calibration/documents.js";
import { type TokenStream, tokenizeDocuments } from "../calibration/token-stream.js";
import { checkTokenizerFits, Tokenizer } from "../checkpoint/tokenizer.js";
import type { DecoderSpec } from "../model/index.js";
import type { WorkEvent } from "./events.js";
import type { RequestContext } from "./serve-requests.js";

/** A model's tokenizer, checked against its vocabulary. */
export async function openTokenizer(folder: string, spec: DecoderSpec): Promise<Tokenizer> {
  const tokenizer = await Tokenizer.open(folder);
  checkTokenizerFits(tokenizer, spec.vocabSize, folder);
  return tokenizer;
}

/**
 * All tokens of the documents in files and folders; from the cache where the same text was read before.
 *
 * @throws CalibrationError for text that can't be used.
 */
export async function readTokens(
  paths: readonly string[],
  tokenizer: Tokenizer,
  { emit, signal }: RequestContext<WorkEvent>,
): Promise<TokenStream> {
  emit({ event: "progress", stage: "reading text", done: 0, total: 0 });
  return tokenizeDocuments(readDocuments(paths, tokenizer), tokenizer, { signal });
}
