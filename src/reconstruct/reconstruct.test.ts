import { tmpdir } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { createPortStore } from "../calibration/port-store.js";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { DecoderNetwork, loadUnit, readSpec } from "../network/index.js";
import { tinyModel } from "../network/testing/tiny-models.js";
import { searchRange } from "../quant/grid/range.js";
import { TokenQuantizer } from "../quant/input/activation.js";
import { tensorsOf } from "../quant/parameter.js";
import { parseScheme } from "../quant/scheme.js";
import { CodeUnitRounding } from "../quant/weight-path/code-unit-rounding.js";
import { loraRounding } from "../quant/weight-path/soft-rounding.js";
import { addon } from "../tensor/engine/addon.js";
import { type Device, type DType, keep, liveHandles, manualSeed, noGrad, scope, Tensor } from "../tensor/index.js";
import { testDevice } from "../tensor/testing/test-device.js";
import { advance } from "./advance.js";
import { reconstructionError } from "./objective/objective.js";
import { QuantizedLayer } from "./quantized-layer.js";
import { QuantizedUnit } from "./quantized-unit.js";
import { overTargets, reconstruct } from "./reconstruct.js";
import { SequenceParts } from "./sequence-parts.js";

interface Case {
  readonly rounding: "code" | "lora";
  readonly scheme: string;
  readonly device: Device;
  readonly dtype: DType;
  /** Sequences on the device at once. */
  readonly parts?: number;
  /** Told how many are left whenever memory ran out. */
  readonly onSmaller?: (size: number) => void;
}

const SEQUENCES = 7;
const CONTEXT = 24;

/** The losses of a window of two blocks, trained for 4 epochs of 4 steps, the last of each with a shorter batch. */
function train({ rounding, scheme: name, device, dtype, parts: size = 2, onSmaller = () => {} }: Case): number[] {
  const scheme = parseScheme(name);
  const spec = readSpec({ ...(tinyModel("llama").config as ModelConfig), num_hidden_layers: 2 });
  const network = new DecoderNetwork(spec);
  using running = network.open({ device, dtype, length: CONTEXT });
  // Drawn on the CPU with a seed of its own, so that every device gets the same.
  let seed = 3;
  const random = (shape: readonly number[], factor: number): Tensor => {
    manualSeed(seed++);
    return Tensor.randn(shape).mul(factor);
  };
  const blocks = network.units.map((unit) => {
    const source = (_name: string, shape: readonly number[]): Tensor =>
      keep(
        scope(() => (shape.length === 1 ? Tensor.ones(shape) : random(shape, 0.2)).to(dtype).to("float32").to(device)),
      );
    const layers = new Map(
      unit.layers.map(({ name, module }) => {
        const layer = new QuantizedLayer(module, scheme, dtype);
        if (scheme.activationBits < 16) layer.quantizeInput(new TokenQuantizer(scheme.activationBits, device));
        return [name, layer] as const;
      }),
    );
    const block = new QuantizedUnit(unit, running, loadUnit(source, unit), layers);
    for (const [name, layer] of layers) {
      const weight = block.weights.layers.get(name)?.weight as Tensor;
      const grid = searchRange(weight, scheme, layer.name);
      const stored = device === "cpu" ? weight : weight.to(dtype);
      if (rounding === "code") layer.learn(new CodeUnitRounding(stored, grid));
      else {
        const learner = loraRounding(stored, grid, 5);
        const [left] = tensorsOf(learner.parameters, "rounding") as [Tensor];
        noGrad(() => void left.copy_(random(left.shape, 0.4)));
        layer.learn(learner);
      }
    }
    block.castWeights(dtype);
    return block;
  });
  const shape = { sequences: SEQUENCES, tokens: CONTEXT, ports: network.ports(CONTEXT) };
  const place = { dtype, device, scratch: tmpdir() };
  const [input, target] = [createPortStore(shape, "device", place), createPortStore(shape, "device", place)];
  noGrad(() =>
    scope(() => input.write(0, { x: random([SEQUENCES, CONTEXT, spec.hiddenSize], 1).to(dtype).to(device) })),
  );
  const parts = new SequenceParts(size, onSmaller);
  advance(input, target, parts, (x) => blocks.reduce((hidden, block) => block.forwardFull(hidden), x));
  const losses: number[] = [];
  const targets = [target];
  const run = reconstruct(blocks, input, targets, {
    epochs: 4,
    batch: 2,
    parts,
    seed: 1,
    loss: overTargets((y, actual) => reconstructionError(y, actual, { l2: "token", l2Weight: 1, klWeight: 0 })),
    rates: { rounding: 2e-2, scale: 2e-3, zeroPoint: 5e-3, input: 1e-2 },
    finalRate: 0.05,
    penalty: { weight: 0.01, warmup: 0.1, betaStart: 20, betaEnd: 2 },
  });
  for (const report of run) losses.push("loss" in report ? report.loss : Number.NaN);
  for (const block of blocks) block.dispose();
  for (const store of [input, target]) store.dispose();
  return losses;
}

const cases = (["code", "lora"] as const).flatMap((rounding) =>
  ["W2A16g8", "W3A16", "W4A4"].map((scheme) => ({ rounding, scheme })),
);

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function furthest(actual: readonly number[], expected: readonly number[]): number {
  expect(actual).toHaveLength(expected.length);
  return Math.max(...actual.map((loss, i) => Math.abs(loss / (expected[i] as number) - 1)));
}

describe.each(cases)("a window at $scheme, rounding $rounding", (kind) => {
  it("loses less and less, and leaves nothing behind", () => {
    scope(() => {
      const live = liveHandles();
      const losses = scope(() => train({ ...kind, device: testDevice, dtype: "float32" }));
      expect(losses).toHaveLength(16);
      expect(mean(losses.slice(12))).toBeLessThan(mean(losses.slice(0, 4)) * (kind.scheme === "W4A4" ? 1 : 0.97));
      expect(liveHandles()).toBe(live);
    });
  });

  it("learns the same however a batch is cut", () => {
    const [whole, cut] = [2, 1].map((parts) =>
      scope(() => train({ ...kind, device: testDevice, dtype: "float32", parts })),
    ) as [number[], number[]];
    // Inputs of few bits turn the last bit of a sum into another code.
    expect(furthest(cut, whole)).toBeLessThan(kind.scheme === "W4A4" ? 0.05 : 1e-3);
  });

  it.skipIf(testDevice === "cpu")("learns on a device what it learns on the CPU", () => {
    const [here, there] = (["cpu", testDevice] as const).map((device) =>
      scope(() => train({ ...kind, device, dtype: "float32" })),
    ) as [number[], number[]];
    expect(furthest(there, here)).toBeLessThan(kind.scheme === "W4A4" ? 0.15 : 5e-3);
  });

  it.skipIf(testDevice === "cpu")("learns in bf16 what it learns in fp32, nearly", () => {
    const [wide, narrow] = (["float32", "bfloat16"] as const).map((dtype) =>
      scope(() => train({ ...kind, device: testDevice, dtype })),
    ) as [number[], number[]];
    expect(Math.abs(mean(narrow.slice(8)) / mean(wide.slice(8)) - 1)).toBeLessThan(0.1);
  });
});

const native = addon();
const original = { ...native };
afterEach(() => void Object.assign(native, original));

/** Memory runs out once in our own operators on the way back from the loss of this step, counted from 0. */
function failBackward(step: number): void {
  let passes = 0;
  let failing = false;
  native.backward = (outputs, gradients) => {
    // A step asks for the gradients of a loss first, and carries them through the roundings then.
    failing = gradients === null && passes++ === step;
    try {
      original.backward(outputs, gradients);
    } finally {
      failing = false;
    }
  };
  native.callOperator = (id, positional, keywords, discard) => {
    if (failing)
      throw Object.assign(new Error("CUDA out of memory. Tried to allocate 12.00 MiB"), { code: "OUT_OF_MEMORY" });
    return original.callOperator(id, positional, keywords, discard);
  };
}

describe("a window whose backward pass runs out of memory", () => {
  // On a GPU the first two steps run as they are, the third is recorded.
  it.each([0, 1, 2])("does step %i again in smaller parts, and learns the same", (step) => {
    const kind = { rounding: "code", scheme: "W2A16g8", device: testDevice, dtype: "float32" } as const;
    const whole = scope(() => train(kind));
    const live = liveHandles();
    failBackward(step);
    const sizes: number[] = [];
    const repeated = scope(() => train({ ...kind, onSmaller: (size) => void sizes.push(size) }));
    expect(sizes).toEqual([1]);
    expect(furthest(repeated, whole)).toBeLessThan(1e-3);
    expect(liveHandles()).toBe(live);
  });
});
