import { tmpdir } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { createPortStore, type PortStore, portOf } from "../calibration/port-store.js";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { DecoderNetwork, loadUnit, readSpec } from "../network/index.js";
import { tinyModel } from "../network/testing/tiny-models.js";
import { roundToNearest } from "../quant/grid/grid.js";
import { searchRange } from "../quant/grid/range.js";
import { type Parameter, parameterGroups } from "../quant/parameter.js";
import { parseScheme } from "../quant/scheme.js";
import { FixedCodes } from "../quant/weight-path/fixed-codes.js";
import { Adam, backward, keep, liveHandles, manualSeed, scope, Tensor } from "../tensor/index.js";
import { testDevice } from "../tensor/testing/test-device.js";
import { advance } from "./advance.js";
import { measureEndToEnd, type TrainedNetwork, trainEndToEnd } from "./end-to-end.js";
import { outputDivergence } from "./objective/output-objective.js";
import { backwardThroughPaths, QuantizedLayer } from "./quantized-layer.js";
import { forwardAll, QuantizedUnit } from "./quantized-unit.js";
import { SequenceParts } from "./sequence-parts.js";
import { FaultWatch } from "./training/fault-watch.js";

const [SEQUENCES, CONTEXT, BLOCKS, VOCABULARY] = [6, 16, 3, 40];
const device = testDevice;

interface Problem extends Disposable {
  readonly network: TrainedNetwork & { readonly input: PortStore };
  readonly target: PortStore;
  parts(size: number): SequenceParts;
}

/** A random network of three blocks, rounded to three bits, and the outputs that it had before. */
function problem(): Problem {
  const spec = readSpec({ ...(tinyModel("llama").config as ModelConfig), num_hidden_layers: BLOCKS });
  const decoder = new DecoderNetwork(spec);
  const running = decoder.open({ device, dtype: "float32", length: CONTEXT });
  manualSeed(4);
  const random = (shape: readonly number[], factor: number): Tensor =>
    keep(scope(() => (shape.length === 1 ? Tensor.ones(shape) : Tensor.randn(shape).mul(factor)).to(device)));
  const head = random([VOCABULARY, spec.hiddenSize], 0.5);
  const scheme = parseScheme("W3A16g8");
  const parts = (size: number): SequenceParts => new SequenceParts(size, () => {});
  const shape = { sequences: SEQUENCES, tokens: CONTEXT, ports: decoder.ports(CONTEXT) };
  const store = (): PortStore => createPortStore(shape, "host", { dtype: "float32", device, scratch: tmpdir() });
  const [input, target] = [store(), store()];
  scope(() => {
    const x = Tensor.randn([SEQUENCES, CONTEXT, spec.hiddenSize]).to(device);
    input.write(0, { x });
    target.write(0, { x });
  });
  const blocks = decoder.units.map((unit) => {
    const layers = new Map(
      unit.layers.map(({ name, module }) => [name, new QuantizedLayer(module, scheme, "float32")] as const),
    );
    const weights = loadUnit((_, size) => random(size, 0.2), unit);
    const block = new QuantizedUnit(unit, running, weights, layers);
    advance(target, target, parts(SEQUENCES), (hidden) => block.forwardFull(hidden));
    for (const [name, layer] of layers) {
      const weight = block.weights.layers.get(name)?.weight as Tensor;
      scope(() => layer.learn(new FixedCodes(roundToNearest(weight, searchRange(weight, scheme, layer.name)))));
    }
    return block;
  });
  const network = { blocks, input, end: { port: "x", head: (states: Tensor) => states.linear(head) } };
  const dispose = (): void => {
    for (const owned of [...blocks, input, target, head]) owned.dispose();
    running[Symbol.dispose]();
  };
  return { network, target, parts, [Symbol.dispose]: dispose };
}

const live = liveHandles();
afterEach(() => {
  expect(liveHandles()).toBe(live);
});

function parametersIn({ blocks }: TrainedNetwork): Parameter[] {
  return blocks.flatMap((block) => block.parameters);
}

function logScaleOf({ parameters }: QuantizedLayer): Tensor {
  return (parameters[0] as Parameter).tensor;
}

/** Trains `epochs` with a fresh optimiser. */
function train({ network, target, parts }: Problem, size: number, epochs: number): void {
  using adam = new Adam(parameterGroups(parametersIn(network), { scale: 5e-3 }));
  for (let epoch = 0; epoch < epochs; epoch++) {
    const options = { epoch, batch: 4, parts: parts(size), seed: epoch, schedule: () => 1, watch: new FaultWatch() };
    for (const _ of trainEndToEnd(network, adam, outputDivergence(target, network.end), options));
  }
}

describe("training on the network's output", () => {
  it("lowers the divergence from the full-precision network, with scales alone", () => {
    using p = problem();
    const measure = (): number =>
      measureEndToEnd(p.network, outputDivergence(p.target, p.network.end), p.parts(4), SEQUENCES);
    const before = measure();
    train(p, 4, 12);
    expect(measure()).toBeLessThan(0.8 * before);
  });

  it("measures without gradients", () => {
    using p = problem();
    const head = (hidden: Tensor): Tensor => {
      expect(hidden.requiresGrad).toBe(false);
      return p.network.end.head(hidden);
    };
    expect(
      measureEndToEnd(
        { ...p.network, end: { port: "x", head } },
        outputDivergence(p.target, p.network.end),
        p.parts(4),
        SEQUENCES,
      ),
    ).toBe(measureEndToEnd(p.network, outputDivergence(p.target, p.network.end), p.parts(4), SEQUENCES));
  });

  it("gives the same scales however many sequences are computed at once", () => {
    const scales = [4, 1].map((size) => {
      using p = problem();
      train(p, size, 2);
      return p.network.blocks
        .flatMap((block) => block.trained)
        .flatMap((layer) => {
          const logScale = logScaleOf(layer);
          return scope(() => [...logScale.detach().toFloat32Array()]);
        });
    }) as [number[], number[]];
    const [whole, parts] = scales;
    // Adam divides by the gradient's own size: where that is next to nothing its rounding counts.
    const far = whole.filter((scale, i) => Math.abs(scale - (parts[i] as number)) > 1e-4);
    expect(far.length / whole.length).toBeLessThan(0.01);
  });

  it("leaves the scales alone where the loss is never finite, and says so", () => {
    using p = problem();
    scope(() => {
      const shape = p.target.shape.ports["x"] as readonly number[];
      p.target.write(0, { x: Tensor.full([1, ...shape], Number.NaN, { device }) });
    });
    const layers = p.network.blocks.flatMap((block) => block.trained);
    using adam = new Adam(parameterGroups(parametersIn(p.network), { scale: 5e-3 }));
    const faults: string[] = [];
    const options = { epoch: 0, batch: 6, parts: p.parts(6), seed: 0, schedule: () => 1 };
    for (let epoch = 0; epoch < 3; epoch++) {
      for (const report of trainEndToEnd(p.network, adam, outputDivergence(p.target, p.network.end), {
        ...options,
        epoch,
        watch: new FaultWatch(),
      })) {
        faults.push("fault" in report ? report.fault : "done");
      }
    }
    expect(faults).toEqual(["skipped", "skipped", "skipped"]);
    const single = { ...options, batch: 1, parts: p.parts(1), watch: new FaultWatch() };
    const reports = [
      ...trainEndToEnd(
        { ...p.network, input: { ...p.network.input, read: () => p.network.input.read([1]) } },
        adam,
        outputDivergence({ ...p.target, read: () => p.target.read([0]) }, p.network.end),
        single,
      ),
    ];
    expect(reports.map((report) => ("fault" in report ? report.fault : "done"))).toEqual([
      "skipped",
      "skipped",
      "skipped",
      "rolled back",
      "skipped",
      "skipped",
      "skipped",
      "rolled back",
    ]);
    const moved = layers.filter((layer) => scope(() => logScaleOf(layer).detach().abs().amax().item()) > 0);
    expect(moved).toEqual([]);
  });

  it("passes the gradient through blocks that are computed twice as through blocks that are kept", () => {
    using p = problem();
    const layers = p.network.blocks.flatMap((block) => block.trained);
    const gradients = (): Float32Array[] =>
      layers.map((layer) => {
        const logScale = logScaleOf(layer);
        const values = scope(() => (logScale.grad as Tensor).toFloat32Array().slice());
        logScale.clearGrad();
        return values;
      });
    scope(() => {
      for (const layer of layers) layer.prepare();
      const output = forwardAll(p.network.blocks, p.network.input.read([0, 1]), (block, x) =>
        block.forwardQuantized(x),
      );
      const expected = p.network.end.head(portOf(p.target.read([0, 1]), "x")).logSoftmax(-1);
      const actual = p.network.end.head(portOf(output, "x")).logSoftmax(-1);
      backward(
        expected
          .exp()
          .mul(expected.sub(actual))
          .sum()
          .div(2 * CONTEXT),
      );
      backwardThroughPaths(layers);
      for (const layer of layers) layer.release();
    });
    const kept = gradients();
    const adam = { step: () => {} } as unknown as Adam;
    const options = { epoch: 0, batch: 2, parts: p.parts(2), seed: 0, schedule: () => 1, watch: new FaultWatch() };
    // The first step's gradients stay where nothing moves; its batch is whichever the seed drew.
    const { input } = p.network;
    const two = { ...input, shape: { ...input.shape, sequences: 2 }, read: () => input.read([0, 1]) };
    const full = { ...p.target, read: () => p.target.read([0, 1]) };
    for (const _ of trainEndToEnd({ ...p.network, input: two }, adam, outputDivergence(full, p.network.end), options));
    gradients().forEach((gradient, i) => {
      const expected = kept[i] as Float32Array;
      const size = Math.max(...expected.map(Math.abs));
      expect(Math.max(...gradient.map((value, at) => Math.abs(value - (expected[at] as number)))) / size).toBeLessThan(
        1e-4,
      );
    });
  });

  it("clips the gradient of all that is trained together, before the optimiser sees it", () => {
    using p = problem();
    const learnt = parametersIn(p.network).map(({ tensor }) => tensor);
    const lengthWith = (clip: number | null): number => {
      let length = Number.NaN;
      const step = (): void => {
        length = Math.hypot(...learnt.map((each) => scope(() => (each.grad as Tensor).square().sum().item()) ** 0.5));
        for (const each of learnt) each.clearGrad();
      };
      const adam = { step } as unknown as Adam;
      const options = { epoch: 0, batch: 6, parts: p.parts(6), seed: 0, schedule: () => 1, watch: new FaultWatch() };
      for (const _ of trainEndToEnd(p.network, adam, outputDivergence(p.target, p.network.end), {
        ...options,
        clip,
      }));
      return length;
    };
    const whole = lengthWith(null);
    expect(lengthWith(whole / 3)).toBeCloseTo(whole / 3, 6);
    expect(lengthWith(whole * 3)).toBe(whole);
  });

  it("gives the same scales in pieces of an epoch as in whole ones", () => {
    const scales = [1, 3].map((pieces) => {
      using p = problem();
      using adam = new Adam(parameterGroups(parametersIn(p.network), { scale: 5e-3 }));
      const watch = new FaultWatch();
      const steps: number[] = [];
      for (let piece = 0; piece < 2 * pieces; piece++) {
        const epoch = Math.floor(piece / pieces);
        const options = { epoch, piece: [piece % pieces, pieces] as const, batch: 1, parts: p.parts(1), seed: epoch };
        const schedule = (step: number): number => {
          steps.push(step);
          return 1 / (1 + step);
        };
        for (const _ of trainEndToEnd(p.network, adam, outputDivergence(p.target, p.network.end), {
          ...options,
          schedule,
          watch,
        }));
      }
      expect(steps).toEqual(Array.from({ length: 2 * SEQUENCES }, (_, i) => i));
      return p.network.blocks.flatMap((block) => block.trained).map((layer) => logScaleOf(layer).toFloat32Array());
    });
    expect(scales[1]).toEqual(scales[0]);
  });

  it("trains what lies before the blocks and in the head, where those have something to learn", () => {
    using p = problem();
    const { input } = p.network;
    const shift = keep(
      Tensor.zeros([(input.shape.ports["x"] as readonly number[])[1] as number], { device }),
    ).requiresGrad_();
    const bias = keep(Tensor.zeros([VOCABULARY], { device })).requiresGrad_();
    const beside: Parameter[] = [shift, bias].map((tensor, i) => ({ role: "weight", name: `${i}`, tensor }));
    const network: TrainedNetwork = {
      ...p.network,
      beside,
      input: {
        shape: input.shape,
        read: (part) => ({ x: portOf(input.read(part), "x").add(shift.detach()) }),
        collect: (_part, gradients) =>
          scope(() => backward([shift.mul(1)], [portOf(gradients, "x").sum(0).sum(0).to("float32")])),
      },
      end: { port: "x", head: (states) => p.network.end.head(states).add(bias) },
    };
    using adam = new Adam(parameterGroups(beside, { weight: 1e-2 }));
    const objective = outputDivergence(p.target, p.network.end);
    const before = measureEndToEnd(network, objective, p.parts(6), SEQUENCES);
    for (let epoch = 0; epoch < 20; epoch++) {
      const options = { epoch, batch: 6, parts: p.parts(3), seed: epoch, schedule: () => 1, watch: new FaultWatch() };
      for (const _ of trainEndToEnd(network, adam, objective, options));
    }
    for (const { tensor } of beside) expect(scope(() => tensor.detach().abs().amax().item())).toBeGreaterThan(1e-2);
    expect(measureEndToEnd(network, objective, p.parts(6), SEQUENCES)).toBeLessThan(0.99 * before);
    for (const { tensor } of beside) tensor.dispose();
  });
});
