import { InputError } from "../errors.js";
import { tokenIds } from "../model/token-ids.js";
import { noGrad, scope } from "../tensor/index.js";
import { resolveDevice } from "./device.js";
import { evaluateJob } from "./evaluate-job.js";
import { generateJob } from "./generate-job.js";
import { inspectJob } from "./inspect-job.js";
import { type LoadedModel, openModel } from "./open-model.js";
import { quantizeJob } from "./quantize-job.js";
import type { EngineHandlers } from "./serve-requests.js";

const models = new Map<number, LoadedModel>();
let nextModel = 1;

/** What the engine's worker does for each method; models that it opened live until they are closed. */
export const engineHandlers: EngineHandlers = {
  quantize: quantizeJob,

  open: async ({ folder, device, dtype }, context) => {
    const model = await openModel(folder, { device: resolveDevice(device), dtype }, context);
    const id = nextModel++;
    models.set(id, model);
    const { vocabSize, maxPositions } = model.decoder.spec;
    return { id, device: model.device, vocabSize, contextLength: maxPositions };
  },

  close: async ({ model }) => {
    opened(model)[Symbol.dispose]();
    models.delete(model);
    return null;
  },

  logits: async ({ model, ids, batch, time }) => {
    const { decoder, device } = opened(model);
    return noGrad(() =>
      scope(() => {
        const logits = decoder.logits(tokenIds(decoder.spec, ids, [batch, time], device));
        const shape = [batch, time, decoder.spec.vocabSize] as const;
        return { shape, data: logits.toFloat32Array() };
      }),
    );
  },

  perplexity: async ({ model, text, context: length }, context) => evaluateJob(opened(model), text, length, context),

  generate: async (parameters, context) => generateJob(opened(parameters.model), parameters, context),

  inspect: async ({ folder }, context) => inspectJob(folder, context),
};

function opened(id: number): LoadedModel {
  const model = models.get(id);
  if (model === undefined) {
    throw new InputError({ where: `model ${id}`, what: "is not loaded any more", next: "load it again" });
  }
  return model;
}
