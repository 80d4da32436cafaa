// A diffusion network in a file, its sampler, and what quantizing it comes to.
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { diffusionInputs } from "../../dist/calibration/diffusion/diffusion-inputs.js";
import { consistency } from "../../dist/calibration/diffusion/sigma-samplers.js";
import { ddim } from "../../dist/calibration/diffusion/step-samplers.js";
import { recordTrajectory } from "../../dist/calibration/diffusion/trajectory.js";
import { diffusionPorts, TrajectoryExamples } from "../../dist/calibration/diffusion/trajectory-examples.js";
import { OnnxContent } from "../../dist/checkpoint/onnx/onnx-content.js";
import { GraphNetwork, GraphRunner, GraphTensors, readGraph } from "../../dist/network/index.js";
import { parseScheme } from "../../dist/quant/scheme.js";
import { recipeOf } from "../../dist/recipe/job/recipe-names.js";
import { runRecipe } from "../../dist/recipe/job/run-recipe.js";
import { resolveRecipeOptions } from "../../dist/recipe/options/resolve-recipe-options.js";
import { FinishedNetwork } from "../../dist/recipe/state/finished-network.js";
import { noGrad, scope } from "../../dist/tensor/index.js";

/** Samplers of the two networks that are measured. */
const samplers = {
  ddpm: (steps, { schedule, beta_start, beta_end, train_steps, prediction }) =>
    ddim(
      {
        schedule: { kind: schedule, trainSteps: train_steps, betaStart: beta_start, betaEnd: beta_end },
        ...{ steps, choice: "linear", prediction, clip: 1 },
      },
      0,
    ),
  // Its preconditioning is part of the graph.
  terrain: (steps, { sigma_min, sigma_max }) =>
    consistency({ steps, sigmaMin: sigma_min, sigmaMax: sigma_max, rho: 7 }, { time: "sigma", data: "inside" }, null),
};

export class DiffusionNetwork {
  #content;
  #runner;

  constructor(kind, file, steps) {
    this.kind = kind;
    this.file = file;
    this.#content = OnnxContent.open(file);
    this.graph = readGraph(this.#content);
    this.inputs = diffusionInputs(file, this.graph.inputs, this.graph.outputs[0]);
    this.shape = this.inputs.sample.shape.slice(1);
    this.sampler = samplers[kind](steps, JSON.parse(readFileSync(join(dirname(file), "config.json"), "utf8")));
    this.#runner = new GraphRunner(this.graph, { device: "cpu", dtype: "float32" });
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
          return run(ports)[output.name].toFloat32Array().slice();
        }),
      );
  }

  /** @returns {ReturnType<typeof recordTrajectory>} */
  sample(images, { seed, batch, run }) {
    const predict = this.predict(this.conditions(images), run);
    return recordTrajectory(this.sampler, predict, { images, batch, seed, shape: this.shape });
  }

  /** The network as a recipe wants it cut, with a trajectory as its examples. */
  opened(trajectory, conditions = "together") {
    const examples = new TrajectoryExamples(trajectory, this.inputs, this.conditions(trajectory.images));
    return { examples, network: GraphNetwork.create(this.graph, {}, examples, conditions) };
  }

  /** Runs a recipe. @returns the job, whose results a `FinishedNetwork` computes, and what was delivered */
  quantized(trajectory, recipe, scheme, given) {
    const options = resolveRecipeOptions({ finish: "none", ...given }, { recipe });
    const cut = recipeOf(recipe).conditions?.(options) ?? "together";
    const { examples, network } = this.opened(trajectory, cut);
    const { count } = examples;
    const kept = { weights: new Map(), activations: new Map(), zeroPoints: new Map(), grids: new Map() };
    const job = {
      ...{ checkpoint: new GraphTensors(network.cut), network, recipe: recipeOf(recipe), options, seed: 1 },
      scheme: parseScheme(scheme),
      tokens: { ids: Int32Array.from({ length: count }, (_, i) => i), sequences: count, context: 1 },
      ...{ device: "cpu", dtype: "float32", gradients: "full", storage: "host", scratch: tmpdir(), resume: null },
      timeInput: this.inputs.time.name,
      poll: () => {},
      sink: {
        linear: (name, weight) => void kept.weights.set(name, weight),
        plain: () => {},
        rescaled: () => {},
        activation: (name, value, zeroPoint) => {
          kept.activations.set(name, value);
          if (zeroPoint !== undefined) kept.zeroPoints.set(name, zeroPoint);
        },
        inputGrid: (name, grid) => void kept.grids.set(name, grid),
        windowDone: () => {},
      },
      results: {
        readLinear: (name) => kept.weights.get(name),
        readPlain: () => null,
        activationOf: (name) => kept.activations.get(name) ?? null,
        zeroPointOf: (name) => kept.zeroPoints.get(name) ?? null,
        inputGridOf: (name) => kept.grids.get(name) ?? null,
      },
    };
    let temporal = null;
    for (const event of runRecipe(job)) {
      if (event.event === "window-done" && event.layers.length > 0) temporal ??= event;
    }
    return { job, kept, first: temporal };
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
    const full = new FinishedNetwork(
      { ...whole, options: { ...whole.options, overrides: [{ pattern: "*", skip: true }] } },
      job.results,
    );
    const times = this.sampler.steps.map(({ time }) => time);
    const values = (of) =>
      times.map((time) =>
        scope(() => {
          const size = this.shape.reduce((product, each) => product * each, 1);
          const x = new Float32Array(size);
          const batch = { x, shape: this.shape, times: [time], conditions: this.conditions(1), images: [0] };
          const out = of.run(diffusionPorts(this.inputs, batch), 1);
          return projections.map((name) => out[name].toFloat32Array().slice());
        }),
      );
    const [actual, wanted] = [values(finished), values(full)];
    finished[Symbol.dispose]();
    full[Symbol.dispose]();
    let wrong = 0;
    for (let i = 0; i < projections.length; i++) {
      for (let t = 0; t < times.length; t++) {
        const near = times.map((_, other) => cosine(actual[t][i], wanted[other][i]));
        if (near.indexOf(Math.max(...near)) !== t) wrong++;
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
