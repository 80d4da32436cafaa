import type { ActivationStore } from "../calibration/activation-store.js";
import { type InputSite, inputSites, type LinearRole } from "../model/index.js";
import type { Codes } from "../quant/grid.js";
import { SecondMoments } from "../quant/second-moments.js";
import { deviceMemory, noGrad, scope, type Tensor } from "../tensor/index.js";
import { advance } from "../window/advance.js";
import type { QuantizedBlock } from "../window/quantized-block.js";
import type { QuantizedLayer } from "../window/quantized-layer.js";
import { BlockSource } from "./block-source.js";
import { deliverBlock, measureLayers } from "./finish-block.js";
import { microBatch } from "./micro-batch.js";
import type { RecipeEvent, RecipeJob, RecipeReport } from "./recipe-job.js";
import { streamState } from "./recipe-state.js";
import { calibrateStaticInputs } from "./static-ranges.js";
import { chooseStorage, openStreams, streamShape } from "./streams.js";

/** How a layer-by-layer recipe picks the codes of one Linear. */
export interface LayerRule {
  /** Whether `choose` wants the second moments of the Linear's inputs. */
  readonly needsMoments: boolean;
  choose(weight: Tensor, layer: QuantizedLayer, moments: SecondMoments | null): Codes;
}

/**
 * Quantizes block after block without training. The calibration stream runs through what is already
 * quantized; Linears that share an input share its second moments, and inside a block each group of
 * Linears sees the groups before it quantized. Without calibration text it only reads weights.
 */
export function* layerwise(job: RecipeJob, rule: LayerRule): Generator<RecipeEvent, RecipeReport> {
  const { spec, tokens } = job;
  using source = new BlockSource(job, tokens?.context ?? 1);
  const stream = tokens === null ? null : openStream(job, tokens);
  const batch = tokens === null ? 1 : microBatch(job, tokens.context);
  try {
    for (let k = job.resume?.window ?? 0; k < spec.blocks; k++) {
      const started = performance.now();
      const place = { window: k, windows: spec.blocks, blocks: [k, k] } as const;
      yield { event: "window-start", ...place, trainable: 0 };
      const block = source.open(k, false);
      try {
        block.settle(job.dtype);
        if (stream !== null) calibrateStaticInputs(job, block, stream, false);
        for (const site of inputSites(spec)) {
          job.poll();
          yield { event: "progress", stage: `block ${k}: ${site.linears.join(", ")}`, done: k, total: spec.blocks };
          quantizeSite(job, block, site, stream, batch, rule);
        }
        deliverBlock(job, block);
        const layers = stream === null ? [] : measureLayers(block, stream);
        const more = k + 1 < spec.blocks;
        if (stream !== null && more) {
          advance(stream, stream, batch, (x) => {
            job.poll();
            return block.forwardQuantized(x);
          });
        }
        const seconds = (performance.now() - started) / 1000;
        const done = { event: "window-done", ...place, lossBefore: null, lossAfter: null, layers, seconds } as const;
        job.sink.windowDone(done, stream !== null && more ? [streamState(job, STREAM, stream)] : []);
        yield done;
      } finally {
        block.dispose();
      }
    }
  } finally {
    stream?.dispose();
  }
  return { devicePeakBytes: deviceMemory(job.device)?.peak ?? null };
}

/** Name of the calibration stream in saved state. */
const STREAM = "stream.quantized";

function openStream(job: RecipeJob, tokens: NonNullable<RecipeJob["tokens"]>): ActivationStore {
  const storage = chooseStorage(job, streamShape(job, tokens), 1);
  return openStreams(job, tokens, [STREAM], storage)[0] as ActivationStore;
}

function quantizeSite(
  job: RecipeJob,
  block: QuantizedBlock,
  site: InputSite,
  stream: ActivationStore | null,
  batch: number,
  rule: LayerRule,
): void {
  const roles = site.linears.filter((role) => block.layers.has(role));
  if (roles.length === 0) return;
  const moments =
    rule.needsMoments && stream !== null ? collectMoments(job, block, roles[0] as LinearRole, stream, batch) : null;
  try {
    for (const role of roles) {
      const layer = block.layers.get(role) as QuantizedLayer;
      const { weight } = block.weights.linears.get(role) as { weight: Tensor };
      layer.harden(scope(() => rule.choose(weight.to("float32"), layer, moments)));
    }
  } finally {
    moments?.dispose();
  }
}

function collectMoments(
  job: RecipeJob,
  block: QuantizedBlock,
  role: LinearRole,
  stream: ActivationStore,
  batch: number,
): SecondMoments {
  const width = block.weights.linears.get(role)?.weight.size(1) ?? 0;
  const moments = new SecondMoments(width, job.device);
  const { sequences } = stream.shape;
  noGrad(() => {
    for (let first = 0; first < sequences; first += batch) {
      job.poll();
      const part = Array.from({ length: Math.min(batch, sequences - first) }, (_, i) => first + i);
      scope(() => {
        block.forwardQuantized(stream.read(part), (seen, x) => {
          if (seen === role) moments.add(block.layers.get(role)?.activation?.apply(x) ?? x);
        });
      });
    }
  });
  return moments;
}
