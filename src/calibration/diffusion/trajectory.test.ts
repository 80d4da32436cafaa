import { describe, expect, it } from "vitest";
import { CalibrationError, ModelError } from "../../errors.js";
import { liveHandles } from "../../tensor/index.js";
import { type DescribedPort, diffusionInputs } from "./diffusion-inputs.js";
import { ddpmSchedule } from "./noise-schedule.js";
import { ddim } from "./step-samplers.js";
import { type Predict, recordTrajectory } from "./trajectory.js";
import { TrajectoryExamples } from "./trajectory-examples.js";

const sampler = ddim({ schedule: ddpmSchedule, steps: 4, choice: "linear", prediction: "epsilon", clip: 1 }, 0);
const shape = [1, 2, 3];

const ports: Record<string, DescribedPort> = {
  sample: { name: "x", dataType: "float32", shape: ["n", 1, 2, 3] },
  time: { name: "timestep", dataType: "int64", shape: ["n"] },
  label: { name: "difficulty", dataType: "float32", shape: ["n", 1] },
  output: { name: "y", dataType: "float32", shape: ["n", 1, 2, 3] },
};
const [sample, time, label, output] = [ports["sample"], ports["time"], ports["label"], ports["output"]] as [
  DescribedPort,
  DescribedPort,
  DescribedPort,
  DescribedPort,
];

describe("a trajectory", () => {
  const predict: Predict = (x, at) => x.map((value, i) => 0.5 * value + Math.sin(i + at));

  it("is what the network was given at each step, whatever the batch", () => {
    const calls: [number, number, number][] = [];
    const record = (batch: number) =>
      recordTrajectory(
        sampler,
        (x, at, images) => {
          calls.push([at, images.length, x.length]);
          return predict(x, at, images);
        },
        { images: 5, batch, seed: 1, shape },
      );
    const [whole, parts] = [record(5), record(2)];
    // The prediction depends on the place in the batch: that of the first image of each batch does not.
    expect(parts.inputs.map((x) => x.slice(0, 6))).toEqual(whole.inputs.map((x) => x.slice(0, 6)));
    expect(whole.times).toEqual([750, 500, 250, 0]);
    expect(calls.slice(0, 4)).toEqual([750, 500, 250, 0].map((at) => [at, 5, 30]));
    expect(whole.results).toHaveLength(30);
    // One run of the sampler: as many calls as there are steps, for each batch.
    expect(calls).toHaveLength(4 + 3 * 4);
  });

  it("gives examples of all steps, each with its time", () => {
    const live = liveHandles();
    const trajectory = recordTrajectory(sampler, predict, { images: 3, batch: 3, seed: 1, shape });
    const inputs = diffusionInputs("m.onnx", [sample, time, label], output);
    const examples = new TrajectoryExamples(trajectory, inputs, { difficulty: Float32Array.of(0.1, 0.2, 0.3) });
    expect(examples.count).toBe(12);
    const all = Array.from({ length: 12 }, (_, i) => i);
    const read = examples.read(all);
    expect([read["x"]?.shape, read["timestep"]?.shape, read["difficulty"]?.shape]).toEqual([
      [12, 1, 2, 3],
      [12],
      [12, 1],
    ]);
    expect([read["x"]?.dtype, read["timestep"]?.dtype]).toEqual(["float32", "int64"]);
    const times = [...(read["timestep"]?.toArray() ?? [])].map(Number);
    const labels = [...(read["difficulty"]?.toFloat32Array() ?? [])];
    const x = read["x"]?.toFloat32Array() ?? new Float32Array();
    const seen = new Set<string>();
    all.forEach((i) => {
      const step = trajectory.times.indexOf(times[i] ?? -1);
      const image = Math.round((labels[i] ?? 0) * 10) - 1;
      seen.add(`${step} ${image}`);
      expect(x.slice(6 * i, 6 * i + 6)).toEqual(trajectory.inputs[step]?.slice(6 * image, 6 * image + 6));
    });
    expect(seen.size).toBe(12);
    expect(new Set(times.slice(0, 4)).size).toBe(4);
    const few = examples.read([4, 2]);
    expect(few["x"]?.toFloat32Array()).toEqual(Float32Array.from([...x.slice(24, 30), ...x.slice(12, 18)]));
    for (const port of [read, few].flatMap((each) => Object.values(each))) port.dispose();
    expect(liveHandles()).toBe(live);
  });

  it("stops where the network leaves the finite numbers", () => {
    const wild: Predict = (x) => x.map(() => Number.NaN);
    const go = (): unknown => recordTrajectory(sampler, wild, { images: 1, batch: 1, seed: 1, shape });
    expect(go).toThrow(CalibrationError);
    expect(go).toThrow(/at time 750.*sampling\.prediction/);
  });
});

describe("inputs of a diffusion network", () => {
  it("are told by their shapes, and the time by its name where there are several single numbers", () => {
    const found = diffusionInputs("m.onnx", [label, time, sample], output);
    expect([found.sample.name, found.time.name, found.conditions.map(({ name }) => name)]).toEqual([
      "x",
      "timestep",
      ["difficulty"],
    ]);
    const only = diffusionInputs("m.onnx", [sample, { ...label, name: "w" }], output);
    expect([only.time.name, only.conditions]).toEqual(["w", []]);
    const other = diffusionInputs("m.onnx", [sample, time, label], output, { time: "difficulty" });
    expect([other.time.name, other.conditions[0]?.name]).toEqual(["difficulty", "timestep"]);
  });

  it("are asked for where they do not follow", () => {
    const two = [sample, { ...label, name: "a" }, { ...label, name: "b" }];
    expect(() => diffusionInputs("m.onnx", two, output)).toThrow(ModelError);
    expect(() => diffusionInputs("m.onnx", two, output)).toThrow(/could be the time.*--set sampling\.timeInput=NAME/);
    expect(() => diffusionInputs("m.onnx", [sample], output)).toThrow(
      /none of its inputs could be the time.*Next: give the network of a diffusion model, or for another one a recipe such as brecq/,
    );
    expect(() => diffusionInputs("m.onnx", [sample, time], output, { time: "s" })).toThrow(/no input "s"/);
    const text = { name: "text", dataType: "float32", shape: ["n", 77, 64] };
    expect(() => diffusionInputs("m.onnx", [sample, time, text], output)).toThrow(
      /nothing for: text \[n, 77, 64\].*Next/,
    );
  });
});
