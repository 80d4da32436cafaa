import { join } from "node:path";
import { readDocuments } from "../calibration/documents.js";
import { type TokenStream, tokenizeDocuments } from "../calibration/token-stream.js";
import { Tokenizer } from "../checkpoint/tokenizer.js";
import type { DecoderSpec } from "../model/index.js";
import type { WarningEvent, WorkEvent } from "./events.js";
import type { RequestContext } from "./serve-requests.js";

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
