import { resolveSchemes } from "../../dist/recipe/job/layer-schemes.js";
import { runRecipe } from "../../dist/recipe/job/run-recipe.js";
import { asRecipeWants } from "../../dist/recipe/state/as-recipe-wants.js";
import { UnitSource } from "../../dist/recipe/state/unit-source.js";
import { forwardLearning } from "../../dist/reconstruct/end-to-end.js";
import { noGrad, scope } from "../../dist/tensor/index.js";

const AT_ONCE = 50;

/**
 * Runs a recipe on a graph, and keeps what it delivers in memory.
 *
 * @param {object} given a job without sink and results
 */
export function quantized(given) {
  const weights = new Map();
  const [steps, zeroPoints] = [new Map(), new Map()];
  const sink = {
    linear: (name, weight) => void weights.set(name, weight),
    plain: () => {},
    rescaled: () => {},
    activation: (name, value, zeroPoint) => {
      steps.set(name, value);
      if (zeroPoint !== undefined) zeroPoints.set(name, zeroPoint);
    },
    windowDone: () => {},
  };
  const results = {
    readLinear: (name) => weights.get(name),
    readPlain: () => null,
    activationOf: (name) => steps.get(name) ?? null,
    zeroPointOf: (name) => zeroPoints.get(name) ?? null,
  };
  const job = { ...given, sink, results };
  const events = [...runRecipe(job)];
  return { job: asRecipeWants(job), events, weights, steps };
}

/** What a network gives of examples, quantized as the job's results say, or in full precision. */
export function outputs(job, examples, kind) {
  const source = new UnitSource(job, 1);
  const rows = [];
  const units = job.network.units.map((_, i) => {
    if (kind === "quantized") return source.openFinished(i, job.results, false);
    const unit = source.open(i, false);
    unit.castWeights(job.dtype);
    return unit;
  });
  const { port, head } = job.network.end(null);
  try {
    for (let first = 0; first < examples.count; first += AT_ONCE) {
      const indices = Array.from({ length: Math.min(AT_ONCE, examples.count - first) }, (_, i) => first + i);
      noGrad(() =>
        scope(() => {
          let x = Object.fromEntries(
            Object.entries(examples.read(indices)).map(([name, port]) => [name, port.to(job.device)]),
          );
          for (const unit of units) x = kind === "quantized" ? forwardLearning(unit, x) : unit.forwardFull(x);
          rows.push(
            head(x[port].reshape([indices.length, -1]))
              .to("float32")
              .logSoftmax(-1)
              .toFloat32Array(),
          );
        }),
      );
    }
  } finally {
    for (const unit of units) unit.dispose();
    source.dispose();
  }
  return rows;
}

/** Bytes of the codes of all weights, as each layer's bits have them. */
export function codeBytes({ network, scheme, options, allocation }) {
  const schemes = resolveSchemes(network.units, scheme, options.overrides, allocation);
  const layers = network.units.flatMap((unit) => unit.layers);
  return layers.reduce((sum, { module, rows, columns }) => sum + (rows * columns * schemes.get(module).bits) / 8, 0);
}
