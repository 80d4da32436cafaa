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
import { type Device, type DType, noGrad, scope, type Tensor } from "../../../tensor/index.js";
import type { SamplingOptions } from "../../options/graph/sampler-options.js";

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
    const { sample, time, conditions } = options;
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
    const other = Object.keys(conditions).find((name) => !known.includes(name));
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
        const value = given[name] ?? 0;
        const [low, high] = typeof value === "number" ? [value, value] : value;
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
  examples(
    seed: number,
    to: { readonly device: Device; readonly dtype: DType },
    poll: (done: number, total: number) => void,
  ): TrajectoryExamples {
    using runner = new GraphRunner(this.graph, { ...to, dtype: "float32" });
    const { images, batch } = this.options;
    const predict = this.predict((ports) => runner.run(ports), images, to.device);
    const trajectory = recordTrajectory(this.sampler, predict, { images, batch, seed, shape: this.shape, poll });
    return new TrajectoryExamples(trajectory, this.inputs, this.conditions(images));
  }
}
