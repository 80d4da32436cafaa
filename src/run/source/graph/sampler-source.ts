import { type DiffusionInputs, diffusionInputs } from "../../../calibration/diffusion/diffusion-inputs.js";
import type { Sampler } from "../../../calibration/diffusion/sampler.js";
import { type Predict, recordTrajectory } from "../../../calibration/diffusion/trajectory.js";
import {
  type Conditions,
  diffusionPorts,
  TrajectoryExamples,
} from "../../../calibration/diffusion/trajectory-examples.js";
import { OptionError } from "../../../errors.js";
import { type Graph, GraphRunner, type Ports } from "../../../network/index.js";
import { type Device, noGrad, scope, type Tensor } from "../../../tensor/index.js";
import { type SamplingOptions, samplerOf } from "../../options/graph/sampler-options.js";
import type { GivenOptions } from "../../options/options.js";
import type { ExampleSource } from "./example-source.js";

/** A diffusion network and how it is sampled. */
export class SampledNetwork {
  readonly inputs: DiffusionInputs;
  /** Of an image. */
  readonly shape: readonly number[];

  /** @throws ModelError where the roles of its inputs do not follow; OptionError for conditions that it does not have */
  constructor(
    readonly graph: Graph,
    readonly sampler: Sampler,
    readonly options: SamplingOptions,
  ) {
    const [output] = graph.outputs;
    if (output === undefined) throw new TypeError("a graph has an output");
    const { sampleInput: sample, timeInput: time, conditions } = options;
    const named = { ...(sample !== null && { sample }), ...(time !== null && { time }) };
    this.inputs = diffusionInputs(graph.file, graph.inputs, output, named);
    this.shape = this.inputs.sample.shape.slice(1).map((size) => {
      if (typeof size === "number") return size;
      throw new OptionError({
        where: graph.file,
        what: `the size of its input "${this.inputs.sample.name}" is open`,
        why: `[${this.inputs.sample.shape.map((each) => each ?? "?").join(", ")}]`,
        next: "export the network for one size of image",
      });
    });
    const known = this.inputs.conditions.map(({ name }) => name);
    const other = conditions.map(({ input }) => input).find((name) => !known.includes(name));
    if (other === undefined) return;
    throw new OptionError({
      where: "sampling.conditions",
      what: `the network has no condition "${other}"`,
      next: known.length === 0 ? "leave it out: it has none" : `use its names: ${known.join(", ")}`,
    });
  }

  /** What other inputs get for so many images. */
  conditions(images: number): Conditions {
    const given = this.options.conditions;
    return Object.fromEntries(
      this.inputs.conditions.map(({ name }) => {
        const { low, high } = given.find(({ input }) => input === name) ?? { low: 0, high: 0 };
        const values = Float32Array.from({ length: images }, (_, i) => low + ((high - low) * (i + 0.5)) / images);
        return [name, values];
      }),
    );
  }

  /** Predictions for `images`, where `run` computes the network's outputs of its inputs. */
  predict(run: (ports: Ports) => Ports, images: number, device: Device): Predict {
    const conditions = this.conditions(images);
    const [output] = this.graph.outputs;
    return (x, time, numbers) =>
      noGrad(() =>
        scope(() => {
          const times = numbers.map(() => time);
          const ports = diffusionPorts(this.inputs, { x, shape: this.shape, times, conditions, images: numbers });
          const placed = Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, port.to(device)]));
          return (run(placed)[output?.name ?? ""] as Tensor).toFloat32Array().slice();
        }),
      );
  }

  /** What the network is given at all steps of one run in full precision. */
  examples(seed: number, device: Device, poll: (done: number, total: number) => void): TrajectoryExamples {
    using runner = new GraphRunner(this.graph, { device, dtype: "float32" });
    const { images, batch } = this.options;
    const predict = this.predict((ports) => runner.run(ports), images, device);
    const trajectory = recordTrajectory(this.sampler, predict, { images, batch, seed, shape: this.shape, poll });
    return new TrajectoryExamples(trajectory, this.inputs, this.conditions(images));
  }
}

/**
 * What a sampler's run makes as examples of its network. Which of them are asked for does not matter, only how many: all come
 * from one seed, and the first ones show all steps.
 */
export function sampledExamples(sampled: SampledNetwork, seed: number, device: Device): ExampleSource {
  const { graph, sampler, options } = sampled;
  let examples: TrajectoryExamples | null = null;
  return {
    kind: "tensors",
    count: options.images * sampler.steps.length,
    // Those of the first image.
    least: sampler.steps.length,
    shapes: {
      [sampled.inputs.sample.name]: sampled.shape,
      ...Object.fromEntries(
        [sampled.inputs.time, ...sampled.inputs.conditions].map(({ name, shape }) => [
          name,
          shape.slice(1).map(() => 1),
        ]),
      ),
    },
    files: [],
    preprocessing: null,
    where: graph.file,
    load: async (indices, onDone) => {
      examples ??= sampled.examples(seed, device, (done, total) =>
        onDone?.(Math.floor((indices.length * done) / total)),
      );
      const made = examples;
      return { count: indices.length, read: (some) => made.read(some) };
    },
  };
}

/** How options say that a network is sampled; null where they name no sampler. @throws ModelError, OptionError */
export function sampledNetwork(graph: Graph, { sampler, steps, sampling }: GivenOptions): SampledNetwork | null {
  return sampler === null ? null : new SampledNetwork(graph, samplerOf(sampler, steps, sampling), sampling);
}
