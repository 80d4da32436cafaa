import { InputError } from "../../errors.js";
import { tokenIds } from "../../network/decoder/token-ids.js";
import { noGrad, scope } from "../../tensor/index.js";
import type { EngineHandlers } from "../engine/serve-requests.js";
import { choicesJob } from "../job/choices-job.js";
import { compareJob } from "../job/compare-job.js";
import { evaluateJob } from "../job/evaluate-job.js";
import { exportJob } from "../job/export-job.js";
import { generateJob } from "../job/generate-job.js";
import { inspectJob } from "../job/inspect-job.js";
import { quantizeJob } from "../job/quantize-job.js";
import { resolveDevice } from "../machine/device.js";
import { type LoadedModel, openModel } from "../source/open-model.js";
import { verifyJob } from "../verify/verify-job.js";

let loaded: LoadedModel | null = null;

/** What the engine's worker does for each method. */
export const engineHandlers: EngineHandlers = {
  quantize: quantizeJob,

  export: async ({ options }, context) => exportJob(options, context),

  open: async ({ folder, device, dtype }, context) => {
    loaded?.[Symbol.dispose]();
    loaded = null;
    loaded = await openModel(folder, { device: resolveDevice(device), dtype }, context);
    const { vocabSize, maxPositions } = loaded.decoder.spec;
    return { device: loaded.device, vocabSize, contextLength: maxPositions };
  },

  logits: async ({ ids, batch, time }) => {
    const { decoder, device } = opened();
    return noGrad(() =>
      scope(() => {
        const logits = decoder.logits(tokenIds(decoder.spec, ids, [batch, time], device));
        const shape = [batch, time, decoder.spec.vocabSize] as const;
        return { shape, data: logits.toFloat32Array() };
      }),
    );
  },

  perplexity: async ({ text, context }, request) => evaluateJob(opened(), text, context, request),

  compare: async (parameters, request) => compareJob(opened(), parameters, request),

  choices: async (parameters, request) => choicesJob(opened(), parameters, request),

  generate: async (parameters, request) => generateJob(opened(), parameters, request),

  verify: async ({ options }, context) => verifyJob(options, context),

  inspect: async ({ folder }, request) => inspectJob(folder, request),
};

function opened(): LoadedModel {
  if (loaded === null) throw new InputError({ what: "no model is loaded", next: "load one with loadModel(folder)" });
  return loaded;
}
