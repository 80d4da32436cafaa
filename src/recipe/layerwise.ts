import type { ActivationStore } from "../calibration/activation-store.js";
import { inputSites } from "../model/index.js";
import { advance } from "../window/advance.js";
import { SequenceParts } from "../window/sequence-parts.js";
import { BlockSource } from "./block-source.js";
import { smallerParts } from "./fault-warnings.js";
import { deliverBlock, measureLayers } from "./finish-block.js";
import type { LayerRule } from "./layer-rule.js";
import { microBatch } from "./micro-batch.js";
import { quantizeSite } from "./quantize-site.js";
import type { RecipeEvent, RecipeJob, WarningEvent } from "./recipe-job.js";
import { streamState } from "./recipe-state.js";
import { calibrateStaticInputs } from "./static-ranges.js";
import { chooseStorage, openStreams, streamShape } from "./streams.js";
import { finishWindows } from "./windows.js";

/**
 * Quantizes block after block without training. The calibration stream runs through what is already
 * quantized; Linears that share an input share its second moments, and inside a block each group of
 * Linears sees the groups before it quantized. Without calibration text it only reads weights.
 */
export function* layerwise(job: RecipeJob, rule: LayerRule): Generator<RecipeEvent, void> {
  const { spec, tokens } = job;
  using source = new BlockSource(job, tokens?.context ?? 1);
  const stream = tokens === null ? null : openStream(job, tokens);
  const warnings: WarningEvent[] = [];
  const parts = new SequenceParts(tokens === null ? 1 : microBatch(job.options), (size) => {
    warnings.push(smallerParts(job.device, size));
  });
  try {
    for (let k = job.resume?.window ?? 0; k < spec.blocks; k++) {
      const started = performance.now();
      const place = { window: k, windows: spec.blocks + finishWindows(job), blocks: [k, k] } as const;
      yield { event: "window-start", ...place, trainable: 0 };
      const block = source.open(k, false);
      source.willOpen(k + 1, k + 1);
      try {
        block.castWeights(job.dtype);
        if (stream !== null) calibrateStaticInputs(job, block, stream, false);
        for (const site of inputSites(spec)) {
          job.poll();
          yield { event: "progress", stage: `block ${k}: ${site.linears.join(", ")}`, done: k, total: spec.blocks };
          yield* quantizeSite(job, block, site, stream, parts, rule);
          yield* warnings.splice(0);
        }
        deliverBlock(job, block);
        const layers = stream === null ? [] : measureLayers(block, stream);
        const more = k + 1 < spec.blocks;
        if (stream !== null && more) {
          advance(stream, stream, parts, (x) => {
            job.poll();
            return block.forwardQuantized(x);
          });
        }
        const seconds = (performance.now() - started) / 1000;
        const done = { event: "window-done", ...place, lossBefore: null, lossAfter: null, layers, seconds } as const;
        job.sink.windowDone(done, stream !== null && more ? [streamState(job, STREAM, stream)] : [], parts.size);
        yield done;
      } finally {
        block.dispose();
      }
    }
  } catch (error) {
    yield* warnings.splice(0);
    throw error;
  } finally {
    stream?.dispose();
  }
}

/** Name of the calibration stream in saved state. */
const STREAM = "stream.quantized";

function openStream(job: RecipeJob, tokens: NonNullable<RecipeJob["tokens"]>): ActivationStore {
  const storage = chooseStorage(job, streamShape(job, tokens), 1);
  return openStreams(job, tokens, [STREAM], storage)[0] as ActivationStore;
}
