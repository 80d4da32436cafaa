import { InputError } from "../../errors.js";
import { tokenIds } from "../../network/decoder/token-ids.js";
import { noGrad, scope } from "../../tensor/index.js";
import type { EngineHandlers } from "../engine/serve-requests.js";
import type { TextGenerator } from "../job/text-generator.js";
import { resolveDevice } from "../machine/device.js";
import type { LoadedModel } from "../source/open-model.js";

let loaded: LoadedModel | null = null;
/** Generates with the loaded model, once that was asked for. */
let generator: TextGenerator | null = null;

/** What the engine's worker does for each method. Each loads its own modules: most processes use one or two. */
export const engineHandlers: EngineHandlers = {
  quantize: async (parameters, context) => {
    const { quantizeJob } = await import("../job/quantize-job.js");
    return await quantizeJob(parameters, context);
  },

  export: async ({ options }, context) => {
    const { exportJob } = await import("../job/export-job.js");
    return await exportJob(options, context);
  },

  open: async ({ folder, device, dtype }, context) => {
    const { openModel } = await import("../source/open-model.js");
    generator?.[Symbol.dispose]();
    loaded?.[Symbol.dispose]();
    [generator, loaded] = [null, null];
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

  perplexity: async (parameters, request) => {
    const { evaluateJob } = await import("../job/evaluate-job.js");
    return await evaluateJob(opened(), parameters, request);
  },

  compare: async (parameters, request) => {
    const { compareJob } = await import("../job/compare-job.js");
    return await compareJob(opened(), parameters, request);
  },

  choices: async (parameters, request) => {
    const { choicesJob } = await import("../job/choices-job.js");
    return await choicesJob(opened(), parameters, request);
  },

  images: async (parameters, request) => {
    const { imagesJob } = await import("../job/images-job.js");
    return await imagesJob(parameters, request);
  },

  generate: async (parameters, request) => {
    return (await generatorOf(opened())).generate(parameters, request);
  },

  hasChatTemplate: async () => (await generatorOf(opened())).answers,

  verify: async ({ options }, context) => {
    const { verifyJob } = await import("../verify/verify-job.js");
    return await verifyJob(options, context);
  },

  push: async ({ options }, context) => {
    const { pushJob } = await import("../push/push-job.js");
    return await pushJob(options, context);
  },

  inspect: async ({ folder }, request) => {
    const { inspectJob } = await import("../job/inspect-job.js");
    return await inspectJob(folder, request);
  },
};

function opened(): LoadedModel {
  if (loaded === null) throw new InputError({ what: "no model is loaded", next: "load one with loadModel(folder)" });
  return loaded;
}

async function generatorOf(model: LoadedModel): Promise<TextGenerator> {
  const { TextGenerator } = await import("../job/text-generator.js");
  generator ??= await TextGenerator.open(model);
  return generator;
}
