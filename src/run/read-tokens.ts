import { readDocuments } from "../calibration/text/documents.js";
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

/** Bytes per token that are surely enough, in every language, to get the tokens that are wanted. */
const bytesPerToken = 8;
/** About what the WikiText-2 test set has, by which perplexities are usually compared. */
const leastBytes = 1024 * 1024;

/**
 * All tokens of the documents in files and folders; from the cache where the same text was read before.
 *
 * @param wanted how many tokens are needed: of files that are too large to be read whole, so much is read at least
 * @throws CalibrationError for text that can't be used.
 */
export async function readTokens(
  paths: readonly string[],
  tokenizer: Tokenizer,
  { emit, signal }: RequestContext<WorkEvent>,
  wanted = 0,
): Promise<TokenStream> {
  emit({ event: "progress", stage: "reading text", done: 0, total: 0 });
  const documents = readDocuments(paths, tokenizer, {
    wantedBytes: Math.max(leastBytes, wanted * bytesPerToken),
    onWarning: ({ what, where, next }) => emit({ event: "warning", message: what, where, next }),
  });
  return tokenizeDocuments(documents, tokenizer, { signal });
}
