import { describe, expect, it } from "vitest";
import { backward, manualSeed, scope, Tensor } from "../../../../tensor/index.js";
import { type AttentionInputs, causalAttention, composedAttention } from "./attention.js";

// One output row after the other, in plain numbers.
function byHand({ q, k, v, slidingWindow }: AttentionInputs): Float64Array {
  const [batch, heads, time, width] = q.shape as readonly [number, number, number, number];
  const [kvHeads, seen] = [k.size(1), k.size(2)];
  const [queries, keys, values] = [q, k, v].map((x) => x.toArray() as Float32Array) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const out = new Float64Array(batch * heads * time * width);
  for (let row = 0; row < batch * heads * time; row++) {
    const t = row % time;
    const head = Math.floor(row / time) % heads;
    const group = Math.floor(row / (time * heads)) * kvHeads + Math.floor(head / (heads / kvHeads));
    const last = seen - time + t;
    const first = slidingWindow === null ? 0 : Math.max(0, last - slidingWindow + 1);
    const weights: number[] = [];
    for (let s = first; s <= last; s++) {
      let dot = 0;
      for (let i = 0; i < width; i++) {
        dot += (queries[row * width + i] ?? 0) * (keys[(group * seen + s) * width + i] ?? 0);
      }
      weights.push(Math.exp(dot / Math.sqrt(width)));
    }
    const total = weights.reduce((a, b) => a + b);
    weights.forEach((weight, j) => {
      for (let i = 0; i < width; i++) {
        out[row * width + i] =
          (out[row * width + i] ?? 0) + (weight / total) * (values[(group * seen + first + j) * width + i] ?? 0);
      }
    });
  }
  return out;
}

function inputs(time: number, seen: number, slidingWindow: number | null): AttentionInputs {
  manualSeed(7);
  // As a block makes them: transposed views.
  const random = (heads: number, length: number): Tensor => Tensor.randn([2, length, heads, 6]).transpose(1, 2);
  return { q: random(4, time), k: random(2, seen), v: random(2, seen), slidingWindow };
}

describe.each([
  ["composed", composedAttention],
  ["chosen", causalAttention],
] as const)("%s attention", (_name, attention) => {
  it.each([
    { time: 5, seen: 5, window: null },
    { time: 1, seen: 9, window: null },
    { time: 1, seen: 9, window: 4 },
    { time: 3, seen: 9, window: null },
    { time: 3, seen: 9, window: 4 },
    { time: 9, seen: 9, window: 1 },
    { time: 9, seen: 9, window: 20 },
    // More than one piece of queries, the last one short.
    { time: 300, seen: 300, window: null },
    { time: 300, seen: 300, window: 50 },
    { time: 257, seen: 290, window: 140 },
  ])("$time queries, $seen keys, window $window", ({ time, seen, window }) => {
    scope(() => {
      const given = inputs(time, seen, window);
      const result = attention(given);
      expect(result.shape).toEqual([2, 4, time, 6]);
      const expected = byHand(given);
      const worst = (result.toArray() as Float32Array).reduce(
        (most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? Number.NaN))),
        0,
      );
      expect(worst).toBeLessThan(2e-6);
    });
  });

  it.each([null, 40])("has the gradients that differences give, window %s", (window) => {
    scope(() => {
      const { q, k, v } = inputs(140, 140, window);
      const leaves = [q, k, v].map((x) => x.to("float64").contiguous().requiresGrad_());
      const [a, b, c] = leaves as [Tensor, Tensor, Tensor];
      const direction = Tensor.randn([2, 4, 140, 6]).to("float64");
      const loss = (x: Tensor, y: Tensor, z: Tensor): Tensor =>
        attention({ q: x, k: y, v: z, slidingWindow: window }).mul(direction).sum();
      backward(loss(a, b, c));
      leaves.forEach((leaf, i) => {
        const step = Tensor.randn(leaf.shape).to("float64");
        const at = (size: number): number => {
          const moved = leaves.map((x, j) => (j === i ? x.detach().add(step.mul(size)) : x.detach()));
          return loss(...(moved as [Tensor, Tensor, Tensor])).item();
        };
        const slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        const gradient = leaf.grad?.mul(step).sum().item() ?? Number.NaN;
        expect(gradient / slope).toBeCloseTo(1, 5);
      });
    });
  });
});
