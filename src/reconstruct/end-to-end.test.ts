import { tmpdir } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { type ActivationStore, createStore } from "../calibration/activation-store.js";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { type LinearRole, linearRoles, loadBlock, RotaryTable, readSpec } from "../network/index.js";
import { tinyModel } from "../network/testing/tiny-models.js";
import { roundToNearest } from "../quant/grid/grid.js";
import { searchRange } from "../quant/grid/range.js";
import { type Parameter, parameterGroups } from "../quant/parameter.js";
import { parseScheme } from "../quant/scheme.js";
import { FixedCodes } from "../quant/weight-path/fixed-codes.js";
import { Adam, backward, callTensor, keep, liveHandles, manualSeed, noGrad, scope, Tensor } from "../tensor/index.js";
import { testDevice } from "../tensor/testing/test-device.js";
import { advance } from "./advance.js";
import { measureEndToEnd, type Network, trainEndToEnd } from "./end-to-end.js";
import { nextTokenLoss, outputDivergence } from "./objective/output-objective.js";
import { forwardAll, QuantizedBlock } from "./quantized-block.js";
import { backwardThroughPaths, QuantizedLayer } from "./quantized-layer.js";
import { SequenceParts } from "./sequence-parts.js";
import { FaultWatch } from "./training/fault-watch.js";

const [SEQUENCES, CONTEXT, BLOCKS, VOCABULARY] = [6, 16, 3, 40];
const device = testDevice;

interface Problem extends Disposable {
  readonly network: Network;
  readonly input: ActivationStore;
  readonly target: ActivationStore;
  parts(size: number): SequenceParts;
}

/** A random network of three blocks, rounded to three bits, and the outputs that it had before. */
function problem(): Problem {
  const spec = readSpec({ ...(tinyModel("llama").config as ModelConfig), num_hidden_layers: BLOCKS });
  const rotary = RotaryTable.create(spec.positions, spec.attention.headDim, CONTEXT, device, "float32");
  manualSeed(4);
  const random = (shape: readonly number[], factor: number): Tensor =>
    keep(scope(() => (shape.length === 1 ? Tensor.ones(shape) : Tensor.randn(shape).mul(factor)).to(device)));
  const head = random([VOCABULARY, spec.hiddenSize], 0.5);
  const scheme = parseScheme("W3A16g8");
  const parts = (size: number): SequenceParts => new SequenceParts(size, () => {});
  const shape = { sequences: SEQUENCES, tokens: CONTEXT, hidden: spec.hiddenSize };
  const store = (): ActivationStore => createStore(shape, "host", { dtype: "float32", device, scratch: tmpdir() });
  const [input, target] = [store(), store()];
  scope(() => {
    const x = Tensor.randn([SEQUENCES, CONTEXT, spec.hiddenSize]).to(device);
    input.write(0, x);
    target.write(0, x);
  });
  const blocks = Array.from({ length: BLOCKS }, (_, index) => {
    const layers = new Map<LinearRole, QuantizedLayer>(
      linearRoles(spec).map((role) => [role, new QuantizedLayer(`${index}.${role}`, scheme, "float32")]),
    );
    const block = new QuantizedBlock(
      index,
      spec,
      loadBlock((_, size) => random(size, 0.2), spec, index),
      layers,
      {
        rotary,
      },
    );
    advance(target, target, parts(SEQUENCES), (hidden) => block.forwardFull(hidden));
    for (const [role, layer] of layers) {
      const weight = block.weights.linears.get(role)?.weight as Tensor;
      scope(() => layer.learn(new FixedCodes(roundToNearest(weight, searchRange(weight, scheme, layer.name)))));
    }
    return block;
  });
  const network = { blocks, head: (hidden: Tensor) => hidden.linear(head) };
  const dispose = (): void => {
    for (const owned of [...blocks, input, target, head]) owned.dispose();
    rotary?.dispose();
  };
  return { network, input, target, parts, [Symbol.dispose]: dispose };
}

const live = liveHandles();
afterEach(() => {
  expect(liveHandles()).toBe(live);
});

function parametersIn({ blocks }: Network): Parameter[] {
  return blocks.flatMap((block) => block.parameters);
}

function logScaleOf({ parameters }: QuantizedLayer): Tensor {
  return (parameters[0] as Parameter).tensor;
}

/** Trains `epochs` with a fresh optimiser. */
function train({ network, input, target, parts }: Problem, size: number, epochs: number): void {
  using adam = new Adam(parameterGroups(parametersIn(network), { scale: 5e-3 }));
  for (let epoch = 0; epoch < epochs; epoch++) {
    const options = { epoch, batch: 4, parts: parts(size), seed: epoch, schedule: () => 1, watch: new FaultWatch() };
    for (const _ of trainEndToEnd(network, adam, input, outputDivergence(target), options));
  }
}

describe("training on the network's output", () => {
  it("lowers the divergence from the full-precision network, with scales alone", () => {
    using p = problem();
    const measure = (): number =>
      measureEndToEnd(p.network, p.input, outputDivergence(p.target), p.parts(4), SEQUENCES);
    const before = measure();
    train(p, 4, 12);
    expect(measure()).toBeLessThan(0.8 * before);
  });

  it("measures without gradients", () => {
    using p = problem();
    const head = (hidden: Tensor): Tensor => {
      expect(hidden.requiresGrad).toBe(false);
      return p.network.head(hidden);
    };
    expect(measureEndToEnd({ ...p.network, head }, p.input, outputDivergence(p.target), p.parts(4), SEQUENCES)).toBe(
      measureEndToEnd(p.network, p.input, outputDivergence(p.target), p.parts(4), SEQUENCES),
    );
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
    scope(() => p.target.write(0, Tensor.full([1, CONTEXT, p.target.shape.hidden], Number.NaN, { device })));
    const layers = p.network.blocks.flatMap((block) => block.trained);
    using adam = new Adam(parameterGroups(parametersIn(p.network), { scale: 5e-3 }));
    const faults: string[] = [];
    const options = { epoch: 0, batch: 6, parts: p.parts(6), seed: 0, schedule: () => 1 };
    for (let epoch = 0; epoch < 3; epoch++) {
      for (const report of trainEndToEnd(p.network, adam, p.input, outputDivergence(p.target), {
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
        p.network,
        adam,
        { ...p.input, read: () => p.input.read([1]) },
        outputDivergence({ ...p.target, read: () => p.target.read([0]) }),
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
      const hidden = forwardAll(p.network.blocks, p.input.read([0, 1]), (block, x) => block.forwardQuantized(x));
      const expected = p.network.head(p.target.read([0, 1])).logSoftmax(-1);
      const actual = p.network.head(hidden).logSoftmax(-1);
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
    const two = { ...p.input, shape: { ...p.input.shape, sequences: 2 }, read: () => p.input.read([0, 1]) };
    const full = { ...p.target, read: () => p.target.read([0, 1]) };
    for (const _ of trainEndToEnd(p.network, adam, two, outputDivergence(full), options));
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
      for (const _ of trainEndToEnd(p.network, adam, p.input, outputDivergence(p.target), { ...options, clip }));
      return length;
    };
    const whole = lengthWith(null);
    expect(lengthWith(whole / 3)).toBeCloseTo(whole / 3, 6);
    expect(lengthWith(whole * 3)).toBe(whole);
  });

  it("measures the divergence as the logits have it, and its gradient by differences", () => {
    scope(() => {
      manualSeed(2);
      const head = Tensor.randn([VOCABULARY, 8]).to(device);
      const [hidden, target] = [Tensor.randn([2, 3, 8]), Tensor.randn([2, 3, 8])].map((x) => x.to(device)) as [
        Tensor,
        Tensor,
      ];
      const read = (): Tensor => target.clone();
      const store = { shape: { sequences: 2, tokens: 3, hidden: 8 }, read, write: () => {}, dispose: () => {} };
      const divergence = outputDivergence(store);
      const value = (x: Tensor): number => divergence.measure((rows) => rows.linear(head), x, [0, 1], 0.5);
      const { loss, gradient } = divergence.descend((rows) => rows.linear(head), hidden, [0, 1], 0.5);
      const direction = Tensor.randn([2, 3, 8]).to(device);
      const slope = gradient.mul(direction).sum().item();
      const step = 1e-2;
      const difference = (value(hidden.add(direction.mul(step))) - value(hidden.sub(direction.mul(step)))) / (2 * step);
      expect(Math.abs(slope - difference) / Math.abs(difference)).toBeLessThan(1e-2);
      expect(loss.item()).toBeGreaterThan(0);
      expect(noGrad(() => value(target))).toBeLessThan(1e-5);
      expect(loss.item()).toBeCloseTo(value(hidden), 5);
      loss.dispose();
      gradient.dispose();
    });
  });

  it("measures the next tokens of a text as libtorch's cross-entropy does, with its gradient", () => {
    scope(() => {
      manualSeed(6);
      const head = Tensor.randn([VOCABULARY, 8]).to(device);
      const hidden = Tensor.randn([2, 5, 8]).to(device);
      const ids = Int32Array.from({ length: 3 * 5 }, (_, i) => (i * 7 + 3) % VOCABULARY);
      // Sequences 2 and 0; their last tokens have no successor.
      const part = [2, 0];
      const labels = part.flatMap((at) => [...ids.subarray(at * 5 + 1, at * 5 + 5)]);
      const leaf = hidden.clone().requiresGrad_();
      const logits = leaf.narrow(1, 0, 4).reshape([8, 8]).linear(head);
      const target = Tensor.from(BigInt64Array.from(labels, BigInt)).to(device);
      const expected = callTensor("aten::cross_entropy_loss", [logits, target, null, 2]).mul(0.25);
      backward(expected);
      const objective = nextTokenLoss(ids, 5);
      const { loss, gradient } = objective.descend((rows) => rows.linear(head), hidden, part, 0.25);
      expect(loss.item()).toBeCloseTo(expected.item(), 4);
      expect(objective.measure((rows) => rows.linear(head), hidden, part, 0.25)).toBeCloseTo(expected.item(), 4);
      expect(
        gradient
          .sub(leaf.grad as Tensor)
          .abs()
          .amax()
          .item(),
      ).toBeLessThan(1e-5);
      loss.dispose();
      gradient.dispose();
    });
  });
});
