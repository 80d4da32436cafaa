import type { TensorGrid } from "../../quant/input/asymmetric-tensor.js";
import type { RecipeEvent, RecipeJob, RecipeResults } from "../job/recipe-job.js";
import { TrainedCheckpoint } from "./trained-checkpoint.js";

/** A job whose model is the one that a training of the whole of it came to, with the ranges of its quantized inputs. */
export function withTrainedModel(job: RecipeJob): RecipeJob {
  const { results, scheme, network } = job;
  if (results === null) throw new TypeError("a trained model is what the training handed over");
  const modules = network.units.flatMap(({ layers }) => layers.map(({ module }) => module));
  return {
    ...job,
    checkpoint: new TrainedCheckpoint(job.checkpoint, results),
    ...(scheme.activationBits < 16 && { inputGrids: gridsOf(modules, results) }),
  };
}

/** The same job as what follows `parts` windows sees it: it counts its own from 0. */
export function afterParts(job: RecipeJob, parts: number): RecipeJob {
  const { resume, sink } = job;
  return {
    ...job,
    resume: resume === null || resume.window <= parts ? null : { ...resume, window: resume.window - parts },
    sink: {
      linear: (name, weight) => sink.linear(name, weight),
      plain: (name, bytes) => sink.plain(name, bytes),
      rescaled: (name, scales) => sink.rescaled(name, scales),
      activation: (name, value, zeroPoint) => sink.activation(name, value, zeroPoint),
      meanwhile: (seconds) => sink.meanwhile?.(seconds),
      windowDone: (done, state, microBatch) => sink.windowDone(behind(done, parts), state, microBatch),
    },
  };
}

/** Events of such a job, as those of the whole run. */
export function* behindParts(events: Generator<RecipeEvent, void>, parts: number): Generator<RecipeEvent, void> {
  try {
    for (const event of events) yield "window" in event ? behind(event, parts) : event;
  } finally {
    events.return();
  }
}

function behind<E extends { readonly window: number; readonly windows: number }>(event: E, parts: number): E {
  return { ...event, window: event.window + parts, windows: event.windows + parts };
}

function gridsOf(modules: readonly string[], results: RecipeResults): ReadonlyMap<string, TensorGrid> {
  return new Map(
    modules.flatMap((module) => {
      const [scale, zeroPoint] = [results.activationOf(module), results.zeroPointOf?.(module) ?? null];
      return scale === null || zeroPoint === null ? [] : [[module, { scale, zeroPoint }] as const];
    }),
  );
}
