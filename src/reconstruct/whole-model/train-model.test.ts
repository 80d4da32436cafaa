import { describe, expect, it } from "vitest";
import type { TokenSequences } from "../../calibration/token-sequences.js";
import type { JsonObject } from "../../checkpoint/json/json.js";
import { DecoderNetwork, readSpec, type TensorSource } from "../../network/index.js";
import { tinyModel } from "../../network/testing/tiny-models.js";
import { ClippedTensorQuantizer } from "../../quant/input/asymmetric-tensor.js";
import { keep, liveHandles, manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { kurtosis } from "../objective/kurtosis.js";
import { nextTokenLoss } from "../objective/output-objective.js";
import { SequenceParts } from "../sequence-parts.js";
import { FaultWatch } from "../training/fault-watch.js";
import { ModelOptimiser, measureModel, trainModel } from "./train-model.js";
import { TrainedModel } from "./trained-model.js";

const [SEQUENCES, CONTEXT] = [6, 12];
const LAMBDA = 0.02;

function network(family: string): DecoderNetwork {
  return new DecoderNetwork(readSpec(tinyModel(family).config as JsonObject));
}

function textOf({ spec }: DecoderNetwork): TokenSequences {
  const ids = Int32Array.from(
    { length: SEQUENCES * CONTEXT },
    (_, i) => (i * i * 3 + i) % Math.min(17, spec.vocabSize),
  );
  return { ids, sequences: SEQUENCES, context: CONTEXT };
}

const random: TensorSource = (name, shape) =>
  keep(scope(() => (name.includes("norm") ? Tensor.ones(shape) : Tensor.randn(shape).mul(0.2))));

function model(of: DecoderNetwork, quantized: boolean, lambda = LAMBDA): TrainedModel {
  manualSeed(11);
  const to = { device: "cpu", dtype: "float32", length: CONTEXT } as const;
  const penalty = lambda === 0 ? null : (y: Tensor): Tensor => kurtosis(y).mean().mul(lambda);
  const made = new TrainedModel(of, random, to, penalty);
  if (quantized) {
    for (const { module } of of.units.flatMap(({ layers }) => layers)) {
      made.inputs.set(module, new ClippedTensorQuantizer(4, { low: -2, high: 2.5 }, "cpu", { aligned: true }));
    }
  }
  return made;
}

/** Loss and penalty of all sequences in one step, whose gradients are left at the weights. */
function descend(of: TrainedModel, text: TokenSequences, size = SEQUENCES): number {
  const objective = nextTokenLoss(text);
  of.prepare();
  let sum = 0;
  for (let first = 0; first < text.sequences; first += size) {
    const part = Array.from({ length: Math.min(size, text.sequences - first) }, (_, i) => first + i);
    sum += of.descend(objective, {
      ids: text.ids.slice(first * CONTEXT, (first + part.length) * CONTEXT),
      shape: [part.length, CONTEXT],
      part,
      weight: 1 / (text.sequences * (CONTEXT - 1)),
      share: part.length / text.sequences,
    });
  }
  of.finish();
  const loss = sum + of.penalised;
  of.release();
  return loss;
}

interface Run {
  readonly losses: number[];
  readonly tensors: readonly Float32Array[];
}

/** Steps [first, end) of eight, from the saved tensors of an earlier process where they are given. */
function train(
  of: DecoderNetwork,
  end: number,
  size: number,
  from?: { readonly first: number; readonly saved: Run },
): Run {
  using trained = model(of, true);
  using optimiser = new ModelOptimiser(trained, { weight: 1e-2, input: 1e-2 });
  const tensors = [...trained.parameters.map(({ tensor }) => tensor), ...optimiser.moments];
  if (from !== undefined) {
    noGrad(() =>
      tensors.forEach((tensor, i) => {
        scope(() => tensor.copy_(Tensor.from(from.saved.tensors[i] as Float32Array, tensor.shape)));
      }),
    );
    optimiser.steps = from.first;
  }
  const text = textOf(of);
  const steps = trainModel(trained, optimiser, text, nextTokenLoss(text), {
    ...{ steps: 8, first: from?.first ?? 0, end, batch: 4, seed: 3, weightDecay: 0.1, clip: 1 },
    parts: new SequenceParts(size, () => {}),
    schedule: (step) => (step + 1) / 8,
    watch: new FaultWatch(),
  });
  const losses = [...steps].map((report) => ("loss" in report ? report.loss : Number.NaN));
  return { losses, tensors: tensors.map((tensor) => noGrad(() => Float32Array.from(tensor.toFloat32Array()))) };
}

describe("training of a whole model", () => {
  it.each(["llama", "opt", "qwen3"])("has the gradients of differences, of every kind of tensor: %s", (family) => {
    const live = liveHandles();
    const of = network(family);
    {
      using trained = model(of, false);
      const text = textOf(of);
      const lossOf = (): number => {
        const loss = descend(trained, text);
        for (const { tensor } of trained.parameters) tensor.clearGrad();
        return loss;
      };
      descend(trained, text);
      const gradients = new Map(
        [...trained.weights].map(([name, tensor]) => [
          name,
          scope(() => Float32Array.from((tensor.grad as Tensor).toFloat32Array())),
        ]),
      );
      for (const [name, tensor] of trained.weights) {
        const gradient = gradients.get(name) as Float32Array;
        // Along the gradient itself, where rounding of the loss weighs least.
        const length = Math.hypot(...gradient);
        // What adds the same to all keys changes nothing of a softmax, unless positions turn it.
        if (name.endsWith("k_proj.bias") && length < 1e-4) continue;
        expect([name, length > 0]).toEqual([name, true]);
        const size = 2e-3 / Math.max(1, length);
        const move = (by: number): void =>
          noGrad(() => scope(() => void tensor.add_(Tensor.from(gradient, tensor.shape).mul(by / length))));
        move(size);
        const after = lossOf();
        move(-2 * size);
        const slope = (after - lossOf()) / (2 * size);
        move(size);
        expect(Math.abs(slope - length), name).toBeLessThan(0.03 * length + 2e-3);
      }
    }
    expect(liveHandles()).toBe(live);
  });

  it("adds the penalty of every Linear, and its gradient", () => {
    const of = network("llama");
    const text = textOf(of);
    using plain = model(of, false, 0);
    using regularised = model(of, false);
    const [without, beside] = [descend(plain, text), descend(regularised, text)];
    // Seven Linears a block, none below the 1 that every kurtosis has at least.
    expect(beside - without).toBeGreaterThan(LAMBDA * 7 * of.units.length);
  });

  it("takes the same steps in micro-batches, but for how sums are rounded", () => {
    const of = network("llama");
    const [whole, parts] = [train(of, 4, 4), train(of, 4, 1)];
    whole.losses.forEach((loss, i) => void expect(parts.losses[i]).toBeCloseTo(loss, 4));
  });

  it("learns, and continues to the same bits", () => {
    const of = network("llama");
    const whole = train(of, 8, 4);
    expect(whole.losses.at(-1)).toBeLessThan((whole.losses[0] as number) - 0.3);
    const half = train(of, 3, 4);
    const continued = train(of, 8, 4, { first: 3, saved: half });
    expect([...half.losses, ...continued.losses]).toEqual(whole.losses);
    expect(continued.tensors).toEqual(whole.tensors);
  });

  it("measures without the penalty, in any parts", () => {
    const of = network("llama");
    const text = textOf(of);
    using trained = model(of, true);
    const of6 = (size: number): number =>
      measureModel(trained, text, nextTokenLoss(text), new SequenceParts(size, () => {}), SEQUENCES);
    expect(of6(2)).toBeCloseTo(of6(6), 5);
  });

  it("skips a step that is not finite, and goes back and gives up where they go on", () => {
    const of = network("llama");
    using trained = model(of, false);
    using optimiser = new ModelOptimiser(trained, { weight: 1e-2, input: 1e-2 });
    const text = textOf(of);
    const [first] = trained.weights.values();
    noGrad(() => (first as Tensor).fill_(Number.NaN));
    const reports = [
      ...trainModel(trained, optimiser, text, nextTokenLoss(text), {
        ...{ steps: 20, first: 0, end: 20, batch: 6, seed: 3, weightDecay: 0, clip: null },
        parts: new SequenceParts(6, () => {}),
        schedule: () => 1,
        watch: new FaultWatch(),
      }),
    ].map((report) => ("fault" in report ? report.fault : "done"));
    expect(reports.filter((fault) => fault === "skipped").length).toBe(9);
    expect(reports.slice(-1)).toEqual(["given up"]);
  });
});
