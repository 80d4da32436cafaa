import { evaluationSequences } from "../../calibration/token-sequences.js";
import { perplexity } from "../../evaluate/perplexity.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { PerplexityEvent, WorkEvent } from "../events/events.js";
import { defaultContext, requireContextOption } from "../options/default-context.js";
import type { LoadedModel } from "../source/open-model.js";
import { openTokenizer, readTokens } from "../source/read-tokens.js";

/** Perplexity of a loaded model on the documents in files and folders. */
export async function evaluateJob(
  model: LoadedModel,
  text: readonly string[],
  asked: number | null,
  request: RequestContext<WorkEvent>,
): Promise<PerplexityEvent> {
  const tokenizer = await openTokenizer(model.folder, model.decoder.spec, request);
  const context = asked ?? defaultContext(model.decoder.spec);
  requireContextOption(context, model.decoder.spec);
  const { ids } = await readTokens([{ paths: text }], tokenizer, request);
  const { value, tokens } = perplexity(model.decoder, evaluationSequences(ids, context), {
    onProgress: (done, total) => {
      request.poll();
      request.emit({ event: "progress", stage: "evaluating", done, total });
    },
  });
  return { event: "perplexity", value, tokens, context };
}
