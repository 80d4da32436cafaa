import { numbersIn, Tensor } from "../../tensor/index.js";
import type { Ports } from "../port-store.js";
import { randomOrder } from "../seeded-random.js";
import type { DiffusionInputs } from "./diffusion-inputs.js";
import type { Trajectory } from "./trajectory.js";

/** What other inputs get, by name: a number for each image. */
export type Conditions = Readonly<Record<string, Float32Array>>;

/**
 * A trajectory as examples of a network: those of the first image in a random order of its steps, then those of the next, so that
 * as few as there are steps show all of them. Each carries the key of its ranges in its time input.
 */
export class TrajectoryExamples {
  readonly #orders: readonly Uint32Array[];

  constructor(
    private readonly trajectory: Trajectory,
    private readonly inputs: DiffusionInputs,
    private readonly conditions: Conditions,
  ) {
    const steps = trajectory.times.length;
    this.#orders = Array.from({ length: trajectory.images }, (_, image) => randomOrder(steps, steps, image));
  }

  get count(): number {
    return this.trajectory.images * this.trajectory.times.length;
  }

  /** The inputs of these examples, `[indices.length, ...]` each, on the CPU. */
  read(indices: readonly number[]): Ports {
    const { shape, times, inputs } = this.trajectory;
    const size = numbersIn(shape);
    const x = new Float32Array(indices.length * size);
    const places = indices.map((index) => {
      const image = Math.floor(index / times.length);
      const step = this.#orders[image]?.[index % times.length];
      if (step === undefined) throw new RangeError(`there is no example ${index}`);
      return { step, image };
    });
    for (const [row, { step, image }] of places.entries()) {
      x.set((inputs[step] as Float32Array).subarray(image * size, (image + 1) * size), row * size);
    }
    return diffusionPorts(this.inputs, {
      x,
      shape,
      times: places.map(({ step }) => times[step] ?? 0),
      conditions: this.conditions,
      images: places.map(({ image }) => image),
    });
  }
}

/** What a network is given for some images. */
export interface DiffusionBatch {
  /** `[images, ...shape]` */
  readonly x: Float32Array<ArrayBuffer>;
  readonly shape: readonly number[];
  /** One for each image. */
  readonly times: readonly number[];
  readonly conditions: Conditions;
  /** Their numbers, by which conditions are looked up. */
  readonly images: readonly number[];
}

/** The same as tensors under the names of the network's inputs, in the types and shapes that it has. The caller disposes them. */
export function diffusionPorts(
  { sample, time, conditions }: DiffusionInputs,
  { x, shape, times, conditions: values, images }: DiffusionBatch,
): Ports {
  const count = images.length;
  const single = ({ dataType, shape: own }: DiffusionInputs["time"], numbers: readonly number[]): Tensor => {
    const tensor = Tensor.from(Float32Array.from(numbers), [count, ...Array.from({ length: own.length - 1 }, () => 1)]);
    if (dataType !== "int64" && dataType !== "int32") return tensor;
    const whole = tensor.to(dataType);
    tensor.dispose();
    return whole;
  };
  return {
    [sample.name]: Tensor.from(x, [count, ...shape]),
    [time.name]: single(time, times),
    ...Object.fromEntries(
      conditions.map((input) => [
        input.name,
        single(
          input,
          images.map((image) => values[input.name]?.[image] ?? 0),
        ),
      ]),
    ),
  };
}
