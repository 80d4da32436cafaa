import { freemem } from "node:os";
import {
  type ActivationStore,
  createStore,
  type Storage,
  type StoreShape,
  storeBytes,
} from "../../calibration/activation-store.js";
import { checkpointSource, embed, loadEmbedding, tokenIds } from "../../network/index.js";
import { deviceMemory, noGrad, scope } from "../../tensor/index.js";
import type { CalibrationTokens, RecipeJob } from "../job/recipe-job.js";
import type { EngineOptions } from "../options/engine-options.js";
import type { Recipe } from "../recipe.js";
import { restoreStream } from "./recipe-state.js";

/** Sequences embedded at once. */
const EMBED_BATCH = 16;

/** Names of the calibration streams in saved state. */
const [FULL, QUANTIZED] = ["stream.full", "stream.quantized"] as const;

/** The streams that a recipe moves through the network; that of full precision comes first where there is one. */
export function streamsOf(recipe: Recipe, options: EngineOptions): readonly string[] {
  return recipe.targets(options).includes("full") ? [FULL, QUANTIZED] : [QUANTIZED];
}

/** Stores that exist at once: the streams, and what a window is held against. */
export function storesOf(recipe: Recipe, options: EngineOptions): number {
  return streamsOf(recipe, options).length + recipe.targets(options).length;
}

/** Where `stores` stores of this shape fit: the device, the host, or the disk, in this order. */
export function chooseStorage(job: RecipeJob, shape: StoreShape, stores: number): Storage {
  if (job.storage !== "auto") return job.storage;
  const needed = storeBytes(shape, job.dtype) * stores;
  const memory = deviceMemory(job.device);
  // Training needs most of a device; the streams may have what is clearly spare.
  if (memory !== null && needed < memory.free * 0.35) return "device";
  return needed < freemem() * 0.5 ? "host" : "disk";
}

export function streamShape(job: RecipeJob, { sequences, context }: CalibrationTokens): StoreShape {
  return { sequences, tokens: context, hidden: job.spec.hiddenSize };
}

/**
 * Stores for the streams of these names: as they were saved where the job continues, else with the
 * embedded calibration sequences.
 */
export function openStreams(
  job: RecipeJob,
  tokens: CalibrationTokens,
  names: readonly string[],
  storage: Storage,
): ActivationStore[] {
  const { resume } = job;
  const shape = streamShape(job, tokens);
  const streams: ActivationStore[] = [];
  try {
    for (const name of names) {
      const stream = createStore(shape, storage, job);
      streams.push(stream);
      if (resume !== null && resume.window > 0) restoreStream(job, resume, name, stream);
    }
    if (resume === null || resume.window === 0) fillWithEmbeddings(job, tokens, streams);
    return streams;
  } catch (error) {
    for (const stream of streams) stream.dispose();
    throw error;
  }
}

function fillWithEmbeddings(job: RecipeJob, tokens: CalibrationTokens, streams: readonly ActivationStore[]): void {
  const { checkpoint, spec, device, dtype } = job;
  const weights = loadEmbedding(checkpointSource(checkpoint, { device, dtype }), spec);
  try {
    noGrad(() => {
      for (let first = 0; first < tokens.sequences; first += EMBED_BATCH) {
        job.poll();
        const rows = Math.min(EMBED_BATCH, tokens.sequences - first);
        const ids = tokens.ids.subarray(first * tokens.context, (first + rows) * tokens.context);
        scope(() => {
          const embedded = embed(spec, weights, tokenIds(spec, ids, [rows, tokens.context], device));
          for (const stream of streams) stream.write(first, embedded);
        });
      }
    });
  } finally {
    weights.dispose();
  }
}
