import { freemem } from "node:os";
import {
  type ActivationStore,
  createStore,
  type Storage,
  type StoreShape,
  storeBytes,
} from "../calibration/activation-store.js";
import { checkpointSource, embed, loadEmbedding, tokenIds } from "../model/index.js";
import { deviceMemory, noGrad, scope } from "../tensor/index.js";
import type { CalibrationTokens, RecipeJob } from "./recipe-job.js";

/** Sequences embedded at once. */
const EMBED_BATCH = 16;

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

/** Stores that start with the embedded calibration sequences: one per stream. */
export function embeddedStreams(
  job: RecipeJob,
  tokens: CalibrationTokens,
  count: number,
  storage: Storage,
): ActivationStore[] {
  const { checkpoint, spec, device, dtype } = job;
  const shape = streamShape(job, tokens);
  const weights = loadEmbedding(checkpointSource(checkpoint, { device, dtype }), spec);
  try {
    const streams = Array.from({ length: count }, () => createStore(shape, storage, dtype, device));
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
    return streams;
  } finally {
    weights.dispose();
  }
}
