import { readDocuments } from "../calibration/documents.js";
import { type TokenStream, tokenizeDocuments } from "../calibration/token-stream.js";
import { checkTokenizerFits, Tokenizer } from "../checkpoint/tokenizer.js";
import type { DecoderSpec } from "../model/index.js";

/** A model's tokenizer, checked against its vocabulary. */
export async function openTokenizer(folder: string, spec: DecoderSpec): Promise<Tokenizer> {
  const tokenizer = await Tokenizer.open(folder);
  checkTokenizerFits(tokenizer, spec.vocabSize, folder);
  return tokenizer;
}

/**
 * All tokens of the documents in files and folders.
 *
 * @throws CalibrationError for text that can't be used.
 */
export async function readTokens(
  paths: readonly string[],
  tokenizer: Tokenizer,
  signal: AbortSignal,
): Promise<TokenStream> {
  return tokenizeDocuments(readDocuments(paths, tokenizer), tokenizer, signal);
}
