import { evaluationSequences } from "../../calibration/token-sequences.js";
import { firstSequences } from "../../evaluate/first-sequences.js";
import { perplexity } from "../../evaluate/perplexity.js";
import type { EngineCalls } from "../engine/engine-protocol.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { PerplexityEvent, WorkEvent } from "../events/events.js";
import { defaultContext, requireContextOption } from "../options/default-context.js";
import type { LoadedModel } from "../source/open-model.js";
import { openTokenizer, readTokens } from "../source/read-tokens.js";

/** Perplexity of a loaded model on the documents in files and folders. */
export async function evaluateJob(
  model: LoadedModel,
  { text, context: asked, limit }: EngineCalls["perplexity"]["parameters"],
  request: RequestContext<WorkEvent>,
): Promise<PerplexityEvent> {
  const tokenizer = await openTokenizer(model.folder, model.decoder.spec, request);
  const context = asked ?? defaultContext(model.decoder.spec);
  requireContextOption(context, model.decoder.spec);
  const { ids } = await readTokens([{ paths: text }], tokenizer, request);
  const all = evaluationSequences(ids, context, tokenizer.sequenceStart);
  const scored = firstSequences(all, limit);
  const { value, tokens } = perplexity(model.decoder, scored, {
    onProgress: (done, total) => {
      request.poll();
      request.emit({ event: "progress", stage: "evaluating", done, total });
    },
  });
  return { event: "perplexity", value, tokens, context, sequences: scored.sequences, ofSequences: all.sequences };
}
