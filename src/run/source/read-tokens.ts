import { join } from "node:path";
import { bundledDocuments } from "../../calibration/bundled/bundled-text.js";
import { type Document, readDocuments } from "../../calibration/text/documents.js";
import { type TokenStream, tokenizeDocuments } from "../../calibration/token-stream.js";
import { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import type { DecoderSpec } from "../../network/index.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { WarningEvent, WorkEvent } from "../events/events.js";

/**
 * A model's tokenizer, checked against its vocabulary; tokens for which the model has no row are warned of.
 *
 * @throws CheckpointError for a tokenizer that belongs to another model
 */
export async function openTokenizer(
  folder: string,
  spec: DecoderSpec,
  { emit }: { readonly emit: (event: WarningEvent) => void },
): Promise<Tokenizer> {
  const tokenizer = await Tokenizer.open(folder, spec.vocabSize);
  const { withoutRow } = tokenizer;
  if (withoutRow.length > 0) {
    const named = withoutRow.map(({ content, id }) => `${JSON.stringify(content)} (id ${id})`).join(", ");
    emit({
      event: "warning",
      where: join(folder, "tokenizer.json"),
      message: `the model's ${spec.vocabSize} rows have none for the token${withoutRow.length === 1 ? "" : "s"} ${named}`,
      next: "nothing to do as long as no text holds one: such a text is refused",
    });
  }
  return tokenizer;
}

/** Bytes per token that are surely enough, in every language, to get the tokens that are wanted. */
const bytesPerToken = 8;
/** About what the WikiText-2 test set has, by which perplexities are usually compared. */
const leastBytes = 1024 * 1024;

/** Bytes of text that surely hold so many tokens, and a little more. */
export function wantedBytes(tokens: number): number {
  return Math.max(leastBytes, tokens * bytesPerToken);
}

/** Files and folders of text, and how they are read. */
export interface TextToRead {
  readonly paths: readonly string[];
  /** The column that holds the text, where it is named. */
  readonly column?: string;
  /** Characters after which no more documents are read: data sets may have a billion of them. */
  readonly most?: number;
}

/**
 * All tokens of the documents in files and folders; from the cache where the same text was read before.
 *
 * @param answers whether the stream says which tokens are answers of conversations
 * @param wanted how many tokens are needed: of files that are too large to be read whole, so much is read at least
 * @throws CalibrationError for text that can't be used.
 */
export async function readTokens(
  texts: readonly TextToRead[],
  tokenizer: Tokenizer,
  { emit, signal }: RequestContext<WorkEvent>,
  wanted = 0,
  answers = false,
): Promise<TokenStream> {
  emit({ event: "progress", stage: "reading text", done: 0, total: 0 });
  return tokenizeDocuments(documents(), tokenizer, { signal });

  async function* documents(): AsyncGenerator<Document> {
    for (const { paths, column, most = Number.POSITIVE_INFINITY } of texts) {
      let characters = 0;
      const read = readDocuments(paths, tokenizer, {
        ...{ wantedBytes: wantedBytes(wanted), answers },
        ...(column !== undefined && { column }),
        onWarning: ({ what, where, next }) => emit({ event: "warning", message: what, where, next }),
      });
      for await (const document of read) {
        yield document;
        characters += document.text.length;
        if (characters >= most) break;
      }
    }
  }
}

/** Characters of the bundled text that are surely a token, in every vocabulary. */
const charactersPerToken = 6;

/**
 * Tokens of the text that comes with the package: at least as many as are wanted, as far as there are so many.
 *
 * @param seed which of its documents come first
 */
export async function readBundledTokens(
  tokenizer: Tokenizer,
  { emit, signal }: RequestContext<WorkEvent>,
  { wanted, seed }: { readonly wanted: number; readonly seed: number },
): Promise<TokenStream> {
  emit({ event: "progress", stage: "reading text", done: 0, total: 0 });
  const documents = bundledDocuments(tokenizer, { characters: wanted * charactersPerToken, seed });
  return tokenizeDocuments(documents, tokenizer, { signal });
}
