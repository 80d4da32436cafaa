import { join } from "node:path";
import { type DiffusionInputs, diffusionInputs } from "../../../src/calibration/diffusion/diffusion-inputs.js";
import type { Sampler } from "../../../src/calibration/diffusion/sampler.js";
import { ddim } from "../../../src/calibration/diffusion/step-samplers.js";
import { type Predict, recordTrajectory } from "../../../src/calibration/diffusion/trajectory.js";
import { diffusionPorts, TrajectoryExamples } from "../../../src/calibration/diffusion/trajectory-examples.js";
import { OnnxContent } from "../../../src/checkpoint/onnx/onnx-content.js";
import {
  floats,
  integers,
  someFloats,
  someNumbers,
  type TestGraph,
  type TestNode,
  writeGraph,
} from "../../../src/network/graph/testing/small-graph.js";
import { throughUnits } from "../../../src/network/graph/testing/through-units.js";
import { type Graph, GraphNetwork, GraphTensors, type Ports, readGraph } from "../../../src/network/index.js";
import type { RecipeJob, RecipeResults, WindowDoneEvent } from "../../../src/recipe/job/recipe-job.js";
import type { RecipeName } from "../../../src/recipe/job/recipe-names.js";
import { runRecipe } from "../../../src/recipe/job/run-recipe.js";
import type { RecipeOptionsInput } from "../../../src/recipe/options/recipe-options.js";
import { FinishedNetwork } from "../../../src/recipe/state/finished-network.js";
import { tinyJob } from "../../../src/recipe/testing/tiny-run.js";
import { noGrad, scope, type Tensor } from "../../../src/tensor/index.js";
import { testDevice } from "../../../src/tensor/testing/test-device.js";

const op = (operator: string, to: string, ...inputs: string[]): TestNode => ({ operator, inputs, outputs: [to] });
/** Convolutions that have a bias. */
const BIASED: readonly string[] = ["a1", "a4", "b1", "b4", "c1", "y"];
const conv = (from: string, to: string, pad: number, more: Readonly<Record<string, number[]>> = {}): TestNode => ({
  ...op("Conv", to, from, `${to}.weight`, ...(BIASED.includes(to) ? [`${to}.bias`] : [])),
  attributes: { pads: [pad, pad, pad, pad], ...more },
});
const project = (name: string): TestNode[] => [
  op("Gemm", `${name}.g`, "silu", `${name}.weight`, `${name}.bias`),
  op("Unsqueeze", name, `${name}.g`, "axes"),
];
const scaled = (shape: readonly number[], seed: number, scale: number): ReturnType<typeof someFloats> =>
  floats(
    someNumbers(
      shape.reduce((product, size) => product * size, 1),
      seed,
    ).map((value) => value * scale),
    shape,
  );

/**
 * A U-Net of the smallest kind: a time embedding with three projections, a residual block at each of two resolutions, a long
 * path, and a block with a shortcut. Its values grow with the time step.
 */
export const smallDiffusion: TestGraph = {
  nodes: [
    { ...op("Cast", "time", "t"), attributes: { to: 1 } },
    op("Unsqueeze", "column", "time", "last"),
    op("Mul", "angles", "column", "rates"),
    op("Sin", "sin", "angles"),
    op("Cos", "cos", "angles"),
    { ...op("Concat", "waves", "sin", "cos"), attributes: { axis: 1 } },
    op("Gemm", "e1", "waves", "embed1.weight", "embed1.bias"),
    op("Relu", "e2", "e1"),
    op("Gemm", "e3", "e2", "embed2.weight", "embed2.bias"),
    op("Sigmoid", "gate", "e3"),
    op("Mul", "silu", "e3", "gate"),
    ...["p1", "p2", "p3"].flatMap(project),
    conv("x", "in", 1),
    conv("in", "a1", 1),
    op("Add", "a2", "a1", "p1"),
    op("Relu", "a3", "a2"),
    conv("a3", "a4", 1),
    op("Add", "a", "a4", "in"),
    conv("a", "down", 1, { strides: [2, 2] }),
    conv("down", "b1", 1),
    op("Add", "b2", "b1", "p2"),
    op("Relu", "b3", "b2"),
    conv("b3", "b4", 1),
    op("Add", "b", "b4", "down"),
    { operator: "Resize", inputs: ["b", "", "sizes"], outputs: ["up"], attributes: { mode: "nearest" } },
    { ...op("Concat", "cat", "up", "a"), attributes: { axis: 1 } },
    conv("cat", "c1", 1),
    op("Add", "c2", "c1", "p3"),
    op("Relu", "c3", "c2"),
    conv("c3", "c4", 1),
    conv("cat", "short", 0),
    op("Add", "c", "c4", "short"),
    op("Relu", "d", "c"),
    conv("d", "y", 1),
  ],
  constants: {
    rates: floats([0.002, 0.011], [1, 2]),
    last: integers([1]),
    axes: integers([2, 3]),
    sizes: floats([1, 1, 2, 2]),
    "embed1.weight": scaled([4, 8], 1, 1),
    "embed1.bias": someFloats([8], 2),
    "embed2.weight": scaled([8, 8], 3, 1),
    "embed2.bias": someFloats([8], 4),
    ...Object.fromEntries(
      ["p1", "p2", "p3"].flatMap((name, i) => [
        [`${name}.weight`, scaled([8, 4], 5 + i, 2)],
        [`${name}.bias`, someFloats([4], 8 + i)],
      ]),
    ),
    "in.weight": scaled([4, 2, 3, 3], 11, 0.3),
    ...Object.fromEntries(
      ["a1", "a4", "down", "b1", "b4", "c4"].map((name, i) => [`${name}.weight`, scaled([4, 4, 3, 3], 12 + i, 0.3)]),
    ),
    ...Object.fromEntries(BIASED.map((name, i) => [`${name}.bias`, scaled([name === "y" ? 2 : 4], 21 + i, 0.2)])),
    "c1.weight": scaled([4, 8, 3, 3], 18, 0.2),
    "short.weight": scaled([4, 8, 1, 1], 19, 0.3),
    "y.weight": scaled([2, 4, 3, 3], 20, 0.1),
  },
  inputs: { x: { shape: ["n", 2, 6, 6] }, t: { dataType: "int64", shape: ["n"] } },
};

const shape = [2, 6, 6];

/** DDIM over some steps of the network. */
export function smallSampler(steps: number): Sampler {
  const schedule = { kind: "linear", trainSteps: 1000, betaStart: 1e-4, betaEnd: 0.02 } as const;
  return ddim({ schedule, steps, choice: "linear", prediction: "epsilon", clip: 3 }, 0);
}

/** The network opened with a trajectory of its own as examples. */
export interface SmallDiffusion extends Disposable {
  readonly content: OnnxContent;
  readonly network: GraphNetwork;
  readonly folder: string;
  readonly sampler: Sampler;
  /** Its full-precision predictions. */
  readonly predict: Predict;
  readonly count: number;
}

/** What is predicted where `run` computes the network's outputs of its inputs. */
export function predictBy(network: GraphNetwork, run: (ports: Ports) => Ports): Predict {
  const inputs = inputsOf(network.cut.graph);
  return (x, time, images) =>
    noGrad(() =>
      scope(() => {
        const times = images.map(() => time);
        const ports = diffusionPorts(inputs, { x, shape, times, conditions: {}, images });
        return (run(ports)["y"] as Tensor).toFloat32Array().slice();
      }),
    );
}

function inputsOf({ file, inputs }: Graph): DiffusionInputs {
  return diffusionInputs(file, inputs, { name: "y", dataType: "float32", shape: null });
}

/** Opens it; `images` of a trajectory of `steps`. */
export function openSmallDiffusion(
  folder: string,
  { steps = 5, images = 6, readers = false }: { steps?: number; images?: number; readers?: boolean } = {},
): SmallDiffusion {
  const file = join(folder, "diffusion.onnx");
  writeGraph(file, smallDiffusion);
  const content = OnnxContent.open(file);
  const graph = readGraph(content);
  const cut = (network: GraphNetwork): GraphNetwork => (readers ? network.withReaders() : network);
  const bare = cut(GraphNetwork.create(graph));
  const sampler = smallSampler(steps);
  const predict = predictBy(bare, (ports) => throughUnits(bare, ports));
  const trajectory = recordTrajectory(sampler, predict, { images, batch: images, seed: 1, shape });
  const examples = new TrajectoryExamples(trajectory, inputsOf(graph), {});
  return {
    network: cut(GraphNetwork.create(graph, {}, examples)),
    ...{ content, folder },
    sampler,
    predict,
    count: examples.count,
    [Symbol.dispose]: () => content[Symbol.dispose](),
  };
}

/** What quantizing it came to. */
export interface QuantizedSmallDiffusion {
  readonly events: readonly WindowDoneEvent[];
  readonly delivered: ReturnType<typeof tinyJob>["delivered"];
  /** Hands over the quantized network. */
  finished<T>(use: (network: FinishedNetwork) => T): T;
  /** Hands over its predictions. */
  simulated<T>(use: (predict: Predict) => T): T;
}

/** Quantizes it. */
export function quantizeSmallDiffusion(
  { network, folder, count }: SmallDiffusion,
  recipe: RecipeName,
  scheme: string,
  options: RecipeOptionsInput,
  more: Partial<RecipeJob> = {},
): QuantizedSmallDiffusion {
  const tokens = { ids: Int32Array.from({ length: count }, (_, i) => i), sequences: count, context: 1 };
  const place = { checkpoint: new GraphTensors(network.cut), network, folder };
  const { job, delivered } = tinyJob(place, recipe, scheme, options, {
    tokens,
    device: testDevice,
    timeInput: "t",
    ...more,
  });
  const events = [...runRecipe(job)].filter((event) => event.event === "window-done");
  const finished = <T>(use: (network: FinishedNetwork) => T): T => {
    using made = new FinishedNetwork(job, job.results as RecipeResults);
    return use(made);
  };
  return {
    events,
    delivered,
    finished,
    simulated: (use) => finished((made) => use(predictBy(network, (ports) => made.run(ports)))),
  };
}
