import { describe, expect, it } from "vitest";
import type { Ports } from "../../calibration/port-store.js";
import { backward, callTensor, manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { testDevice } from "../../tensor/testing/test-device.js";
import { nextTokenLoss, outputDivergence } from "./output-objective.js";

const VOCABULARY = 40;
const device = testDevice;

describe("what the output of a network is held against", () => {
  it("measures the divergence as the logits have it, and its gradient by differences", () => {
    scope(() => {
      manualSeed(2);
      const head = Tensor.randn([VOCABULARY, 8]).to(device);
      const [hidden, target] = [Tensor.randn([2, 3, 8]), Tensor.randn([2, 3, 8])].map((x) => x.to(device)) as [
        Tensor,
        Tensor,
      ];
      const shape = { sequences: 2, tokens: 3, ports: { x: [3, 8] } };
      const read = (): Ports => ({ x: target.clone() });
      const store = { shape, stores: new Map(), read, write: () => {}, dispose: () => {} };
      const divergence = outputDivergence(store, { port: "x" });
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
      const objective = nextTokenLoss({ ids, sequences: 3, context: 5 });
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

  it("counts answers alone where the text says which tokens are answers", () => {
    scope(() => {
      manualSeed(7);
      const head = Tensor.randn([VOCABULARY, 8]).to(device);
      const hidden = Tensor.randn([2, 4, 8]).to(device);
      const ids = Int32Array.from({ length: 2 * 4 }, (_, i) => (i * 5 + 1) % VOCABULARY);
      // The first token of a sequence has nothing before it that could say it.
      const answers = Uint8Array.of(1, 0, 1, 1, 1, 0, 0, 0);
      const objective = nextTokenLoss({ ids, sequences: 2, context: 4, answers });
      expect(objective.counted([0, 1], 4)).toBe(2);
      // A mean over none would be no number.
      expect(objective.counted([1], 4)).toBe(1);
      const logarithms = hidden.linear(head).logSoftmax(-1).reshape([8, VOCABULARY]).toFloat32Array();
      const of = (row: number): number => logarithms[row * VOCABULARY + (ids[row + 1] as number)] as number;
      const expected = -(of(1) + of(2)) / 2;
      const { loss, gradient } = objective.descend((rows) => rows.linear(head), hidden, [0, 1], 0.5);
      expect(loss.item()).toBeCloseTo(expected, 4);
      const sizes = [...gradient.abs().sum(2).reshape([8]).toFloat32Array()];
      expect(sizes.map((size) => size > 0)).toEqual([false, true, true, false, false, false, false, false]);
      loss.dispose();
      gradient.dispose();
    });
  });
});
