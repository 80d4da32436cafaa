import { evaluationSequences } from "../../calibration/token-sequences.js";
import { requireSameTokens } from "../../checkpoint/tokenizer/same-tokens.js";
import { compareModels } from "../../evaluate/compare-models.js";
import { firstSequences } from "../../evaluate/first-sequences.js";
import type { EngineCalls } from "../engine/engine-protocol.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { ReferenceEvent, WorkEvent } from "../events/events.js";
import { defaultContext, requireContextOption } from "../options/default-context.js";
import { type LoadedModel, openModel } from "../source/open-model.js";
import { openTokenizer, readTokens } from "../source/read-tokens.js";

/** Compares a loaded model with a reference, which is loaded beside it, on the documents in files and folders. */
export async function compareJob(
  model: LoadedModel,
  { reference: name, text, context: asked, limit }: EngineCalls["compare"]["parameters"],
  request: RequestContext<WorkEvent>,
): Promise<ReferenceEvent> {
  const tokenizer = await openTokenizer(model.folder, model.decoder.spec, request);
  const { dtype } = model.decoder.outer.embedding;
  using reference = await openModel(name, { device: model.device, dtype }, request);
  const other = await openTokenizer(reference.folder, reference.decoder.spec, request);
  requireSameTokens(tokenizer, other, { folder: model.folder, other: reference.folder });
  const specs = [model.decoder.spec, reference.decoder.spec];
  const context = asked ?? defaultContext(...specs);
  for (const spec of specs) requireContextOption(context, spec);
  const { ids } = await readTokens([{ paths: text }], tokenizer, request);
  const all = evaluationSequences(ids, context, tokenizer.sequenceStart);
  const compared = firstSequences(all, limit);
  const comparison = compareModels(model.decoder, reference.decoder, compared, {
    onProgress: (done, total) => {
      request.poll();
      request.emit({ event: "progress", stage: "comparing", done, total });
    },
  });
  return {
    event: "reference",
    reference: name,
    ...comparison,
    context,
    sequences: compared.sequences,
    ofSequences: all.sequences,
  };
}
