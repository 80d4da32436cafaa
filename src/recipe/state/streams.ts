import { freemem } from "node:os";
import type { Storage } from "../../calibration/activation-store.js";
import { createPortStore, type PortStore, type StreamShape, streamBytes } from "../../calibration/port-store.js";
import { checkpointSource } from "../../network/index.js";
import { deviceMemory, scope } from "../../tensor/index.js";
import type { CalibrationTokens, RecipeJob } from "../job/recipe-job.js";
import type { EngineOptions } from "../options/engine-options.js";
import type { Recipe } from "../recipe.js";
import { restoreStream } from "./recipe-state.js";

/** Sequences that the network begins with at once. */
const BATCH = 16;

/** Names of the calibration streams in saved state. */
const [FULL, QUANTIZED] = ["stream.full", "stream.quantized"] as const;

/** The streams that a recipe moves through the network; that of full precision comes first where there is one. */
export function streamsOf(recipe: Recipe, options: EngineOptions): readonly string[] {
  return recipe.chain(options).targets.includes("full") ? [FULL, QUANTIZED] : [QUANTIZED];
}

/** Stores that exist at once: the streams, what a window is held against, and its input where that is no stream's own store. */
export function storesOf(recipe: Recipe, options: EngineOptions): number {
  const chain = recipe.chain(options);
  const { stores = 0 } = recipe.cost(options);
  const own = chain.input === "full" || chain.fullInput === true ? 1 : 0;
  return streamsOf(recipe, options).length + chain.targets.length + own + stores;
}

/** Where `stores` stores of this shape fit: the device, the host, or the disk, in this order. */
export function chooseStorage(job: RecipeJob, shape: StreamShape, stores: number): Storage {
  if (job.storage !== "auto") return job.storage;
  const needed = streamBytes(shape, job.dtype) * stores;
  const memory = deviceMemory(job.device);
  // Training needs most of a device; the streams may have what is clearly spare.
  if (memory !== null && needed < memory.free * 0.35) return "device";
  return needed < freemem() * 0.5 ? "host" : "disk";
}

/** What a stream is at the input of a unit: of the first one unless another is asked for. */
export function streamShape(job: RecipeJob, { sequences, context }: CalibrationTokens, unit = 0): StreamShape {
  return { sequences, tokens: context, ports: job.network.ports(context, unit) };
}

/** The same where the stream is largest. */
export function largestShape(job: RecipeJob, tokens: CalibrationTokens): StreamShape {
  const shapes = Array.from({ length: job.network.units.length + 1 }, (_, unit) => streamShape(job, tokens, unit));
  return shapes.reduce((a, b) => (streamBytes(b, job.dtype) > streamBytes(a, job.dtype) ? b : a));
}

/**
 * Stores for the streams of these names: as they were saved where the job continues, else with what the network's first
 * unit reads of the calibration sequences.
 *
 * @param unit at whose input they are
 */
export function openStreams(
  job: RecipeJob,
  tokens: CalibrationTokens,
  names: readonly string[],
  storage: Storage,
  unit = 0,
): PortStore[] {
  const { resume } = job;
  const shape = streamShape(job, tokens, unit);
  const streams: PortStore[] = [];
  try {
    for (const name of names) {
      const stream = createPortStore(shape, storage, job);
      streams.push(stream);
      if (resume !== null && resume.window > 0) restoreStream(job, resume, name, stream);
    }
    if (resume === null || resume.window === 0) begin(job, tokens, streams);
    return streams;
  } catch (error) {
    for (const stream of streams) stream.dispose();
    throw error;
  }
}

function begin(job: RecipeJob, tokens: CalibrationTokens, streams: readonly PortStore[]): void {
  const { checkpoint, network, device, dtype } = job;
  const start = network.begin(checkpointSource(checkpoint, { device, dtype }));
  try {
    for (let first = 0; first < tokens.sequences; first += BATCH) {
      job.poll();
      const rows = Math.min(BATCH, tokens.sequences - first);
      const ids = tokens.ids.subarray(first * tokens.context, (first + rows) * tokens.context);
      scope(() => {
        const ports = start.run(ids, [rows, tokens.context]);
        for (const stream of streams) stream.write(first, ports);
      });
    }
  } finally {
    start.dispose();
  }
}
