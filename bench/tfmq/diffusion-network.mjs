// A diffusion network in a file, its sampler, and what quantizing it comes to.
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { diffusionInputs } from "../../dist/calibration/diffusion/diffusion-inputs.js";
import { consistency } from "../../dist/calibration/diffusion/sigma-samplers.js";
import { ddim, ddpm } from "../../dist/calibration/diffusion/step-samplers.js";
import { recordTrajectory } from "../../dist/calibration/diffusion/trajectory.js";
import { diffusionPorts, TrajectoryExamples } from "../../dist/calibration/diffusion/trajectory-examples.js";
import { OnnxContent } from "../../dist/checkpoint/onnx/onnx-content.js";
import { GraphNetwork, GraphRunner, GraphTensors, readGraph } from "../../dist/network/index.js";
import { parseScheme } from "../../dist/quant/scheme.js";
import { recipeOf } from "../../dist/recipe/job/recipe-names.js";
import { runRecipe } from "../../dist/recipe/job/run-recipe.js";
import { resolveRecipeOptions } from "../../dist/recipe/options/resolve-recipe-options.js";
import { FinishedNetwork } from "../../dist/recipe/state/finished-network.js";
import { KeptResults } from "../../dist/recipe/state/kept-results.js";
import { noGrad, scope } from "../../dist/tensor/index.js";

const stepSampling = (steps, { schedule, beta_start, beta_end, train_steps, prediction }) => ({
  schedule: { kind: schedule, trainSteps: train_steps, betaStart: beta_start, betaEnd: beta_end },
  ...{ steps, choice: "linear", prediction, clip: 1 },
});

const samplers = {
  ddim: (steps, config) => ddim(stepSampling(steps, config), 0),
  ddpm: (steps, config) => ddpm(stepSampling(steps, config), "small"),
  // The preconditioning of the terrain network is part of the graph.
  consistency: (steps, { sigma_min, sigma_max }) =>
    consistency({ steps, sigmaMin: sigma_min, sigmaMax: sigma_max, rho: 7 }, { time: "sigma", data: "inside" }, null),
};

/** Time steps whose projections are computed at once. */
const AT_ONCE = 8;

export class DiffusionNetwork {
  #runner;
  #config;
  #device;

  constructor(kind, file, steps, { device = "cpu", sampler = kind === "ddpm" ? "ddim" : "consistency" } = {}) {
    this.kind = kind;
    this.#device = device;
    this.file = file;
    this.content = OnnxContent.open(file);
    this.graph = readGraph(this.content);
    this.inputs = diffusionInputs(file, this.graph.inputs, this.graph.outputs[0]);
    this.shape = this.inputs.sample.shape.slice(1);
    this.#config = JSON.parse(readFileSync(join(dirname(file), "config.json"), "utf8"));
    this.sampler = samplers[sampler](steps, this.#config);
    this.#runner = new GraphRunner(this.graph, { device, dtype: "float32" });
  }

  /** Values of other inputs for so many images: evenly from 0 to 1. */
  conditions(images) {
    const values = Float32Array.from({ length: images }, (_, i) => (i + 0.5) / images);
    return Object.fromEntries(this.inputs.conditions.map(({ name }) => [name, values]));
  }

  /** Predictions where `run` computes the network's outputs. */
  predict(conditions, run = (ports) => this.#runner.run(ports)) {
    const [output] = this.graph.outputs;
    return (x, time, images) =>
      noGrad(() =>
        scope(() => {
          const times = images.map(() => time);
          const ports = diffusionPorts(this.inputs, { x, shape: this.shape, times, conditions, images });
          return run(this.#placed(ports))[output.name].toFloat32Array().slice();
        }),
      );
  }

  #placed(ports) {
    return Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, port.to(this.#device)]));
  }

  /** @returns {ReturnType<typeof recordTrajectory>} */
  sample(images, { seed, batch, run }) {
    const predict = this.predict(this.conditions(images), run);
    return recordTrajectory(this.sampler, predict, { images, batch, seed, shape: this.shape });
  }

  /** The network with a trajectory as its examples. */
  opened(trajectory) {
    const examples = new TrajectoryExamples(trajectory, this.inputs, this.conditions(trajectory.images));
    return { examples, network: GraphNetwork.create(this.graph, {}, examples) };
  }

  /** Runs a recipe. @returns the job, whose results a `FinishedNetwork` computes, and what was delivered */
  quantized(trajectory, recipe, scheme, given, seed = 1) {
    const { job, kept } = this.prepared(trajectory, recipe, scheme, given, seed);
    let temporal = null;
    for (const event of runRecipe(job)) {
      if (event.event === "window-done" && event.layers.length > 0) temporal ??= event;
    }
    return { job, kept, first: temporal };
  }

  prepared(trajectory, recipe, scheme, { asym = false, ...given }, seed = 1) {
    const options = resolveRecipeOptions({ finish: "none", ...given }, { recipe });
    const { examples, network } = this.opened(trajectory);
    const { count } = examples;
    const kept = new KeptResults();
    const job = {
      ...{ checkpoint: new GraphTensors(network.cut), network, recipe: recipeOf(recipe), options, seed },
      scheme: parseScheme(scheme, { asym }),
      tokens: { ids: Int32Array.from({ length: count }, (_, i) => i), sequences: count, context: 1 },
      ...{
        device: this.#device,
        dtype: "float32",
        gradients: "full",
        storage: "auto",
        scratch: tmpdir(),
        resume: null,
      },
      timeInput: this.inputs.time.name,
      poll: () => {},
      sink: kept,
      results: kept,
    };
    return { job, kept };
  }

  /** What an embedding may be mistaken for: all steps that the network knows, or many noise levels. */
  #allTimes(times) {
    const { train_steps, sigma_min, sigma_max } = this.#config;
    if (train_steps !== undefined) return Array.from({ length: train_steps }, (_, t) => t);
    const [low, high] = [Math.log(sigma_min), Math.log(sigma_max)];
    const levels = Array.from({ length: 300 }, (_, i) => Math.fround(Math.exp(low + ((high - low) * i) / 299)));
    return [...new Set([...times, ...levels])];
  }

  /**
   * How often the projections of a quantized network are nearer, by their angle, to those of another step of the full-precision
   * one: a share of all projections and steps of the sampler.
   */
  mismatches(job) {
    const { network } = this.opened({ images: 1, times: [], shape: this.shape, inputs: [] });
    const whole = { ...job, network, checkpoint: new GraphTensors(network.cut) };
    const [unit] = network.cut.units;
    const made = new Map(unit.nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
    const behindLayer = (name) => {
      const node = made.get(name);
      if (node === undefined) return false;
      return unit.layers.some((layer) => layer.node === node) || node.inputs.some(behindLayer);
    };
    const projections = unit.writes.filter(behindLayer);
    const finished = new FinishedNetwork(whole, job.results);
    // Of no results: neither their codes nor their biases.
    const full = new FinishedNetwork(
      { ...whole, options: { ...whole.options, overrides: [{ pattern: "*", skip: true }] } },
      new KeptResults(),
    );
    const times = this.sampler.steps.map(({ time }) => Math.fround(time));
    const known = this.#allTimes(times);
    // Few at once: what follows from a batch's size is found by computing a whole batch of zeros.
    const values = (of, at) => {
      const rows = projections.map(() => []);
      const size = this.shape.reduce((product, each) => product * each, 1);
      for (let first = 0; first < at.length; first += AT_ONCE) {
        const some = Array.from({ length: AT_ONCE }, (_, i) => at[Math.min(first + i, at.length - 1)]);
        const x = new Float32Array(size * AT_ONCE);
        const images = some.map(() => 0);
        scope(() => {
          const batch = { x, shape: this.shape, times: some, conditions: this.conditions(1), images };
          const out = of.run(this.#placed(diffusionPorts(this.inputs, batch)), 1);
          for (const [i, name] of projections.entries()) {
            const found = out[name].reshape([AT_ONCE, -1]).toFloat32Array();
            const width = found.length / AT_ONCE;
            for (let t = 0; t < Math.min(AT_ONCE, at.length - first); t++) {
              rows[i].push(found.slice(t * width, (t + 1) * width));
            }
          }
        });
      }
      return rows;
    };
    const [actual, wanted] = [values(finished, times), values(full, known)];
    finished[Symbol.dispose]();
    full[Symbol.dispose]();
    let wrong = 0;
    for (const [i, rows] of actual.entries()) {
      for (const [t, time] of times.entries()) {
        const near = known.map((_, other) => cosine(rows[t], wanted[i][other]));
        if (known[near.indexOf(Math.max(...near))] !== time) wrong++;
      }
    }
    return { share: wrong / (projections.length * times.length), projections: projections.length };
  }
}

function cosine(a, b) {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] ** 2;
    bb += b[i] ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}
