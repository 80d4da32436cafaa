import { evaluationWindows } from "../calibration/token-windows.js";
import { requireSameTokens } from "../checkpoint/same-tokens.js";
import { compareModels } from "../evaluate/compare-models.js";
import { defaultContext, requireContextOption } from "./default-context.js";
import type { EngineCalls } from "./engine-protocol.js";
import type { ReferenceEvent, WorkEvent } from "./events.js";
import { type LoadedModel, openModel } from "./open-model.js";
import { openTokenizer, readTokens } from "./read-tokens.js";
import type { RequestContext } from "./serve-requests.js";

/** Compares a loaded model with a reference, which is loaded beside it, on the documents in files and folders. */
export async function compareJob(
  model: LoadedModel,
  { reference: name, text, context: asked }: EngineCalls["compare"]["parameters"],
  request: RequestContext<WorkEvent>,
): Promise<ReferenceEvent> {
  const tokenizer = await openTokenizer(model.folder, model.decoder.spec);
  const { dtype } = model.decoder.outer.embedding;
  using reference = await openModel(name, { device: model.device, dtype }, request);
  const other = await openTokenizer(reference.folder, reference.decoder.spec);
  requireSameTokens(tokenizer, other, { folder: model.folder, other: reference.folder });
  const specs = [model.decoder.spec, reference.decoder.spec];
  const context = asked ?? defaultContext(...specs);
  for (const spec of specs) requireContextOption(context, spec);
  const { ids } = await readTokens(text, tokenizer, request);
  const comparison = compareModels(model.decoder, reference.decoder, evaluationWindows(ids, context), {
    onProgress: (done, total) => {
      request.poll();
      request.emit({ event: "progress", stage: "comparing", done, total });
    },
  });
  return { event: "reference", reference: name, ...comparison, context };
}
