import { describe, expect, it } from "vitest";
import { gradientsOf, manualSeed, scope, Tensor } from "../../../tensor/index.js";
import { on } from "../../../tensor/testing/test-device.js";
import { activateGate } from "./activation.js";
import { causalAttention } from "./attention/attention.js";
import { normalise } from "./normalise.js";
import { RotaryTable } from "./rotary/rotary.js";

type Pass = (inputs: readonly Tensor[]) => Tensor;

const POSITIONS = { theta: 1e4, scaling: { kind: "none" }, pairs: "halves" } as const;

function rotated(x: Tensor): Tensor {
  using table = RotaryTable.create({ ...POSITIONS, width: x.size(3) }, x.size(3), x.size(2), on.device, x.dtype);
  return table.rotate(x, 0);
}

// Odd sizes, so that rows end inside a vector; heads as a block makes them, transposed views.
const heads = (count: number): Tensor => Tensor.randn([2, 150, count, 32], on).transpose(1, 2);
const passes: readonly (readonly [name: string, inputs: () => Tensor[], pass: Pass])[] = [
  [
    "RMS norm",
    () => [Tensor.randn([3, 7, 45], on)],
    ([x]) => {
      const weight = Tensor.full([45], 0.75, on).to((x as Tensor).dtype);
      return normalise(x as Tensor, { weight, bias: null, offset: 0 }, { kind: "rms", eps: 1e-5 });
    },
  ],
  [
    "SwiGLU",
    () => [Tensor.randn([3, 7, 45], on), Tensor.randn([3, 7, 45], on)],
    ([gate, up]) => activateGate(gate as Tensor, up as Tensor, "silu"),
  ],
  ["rotary positions", () => [heads(3)], ([x]) => rotated(x as Tensor)],
  [
    "attention",
    () => [heads(4), heads(2), heads(2)],
    ([q, k, v]) => causalAttention({ q: q as Tensor, k: k as Tensor, v: v as Tensor, slidingWindow: null }),
  ],
  [
    "attention through a window",
    () => [heads(4), heads(2), heads(2)],
    ([q, k, v]) => causalAttention({ q: q as Tensor, k: k as Tensor, v: v as Tensor, slidingWindow: 40 }),
  ],
];

describe("the gain of an RMS norm", () => {
  it("has the gradient that the composed norm has, beside inputs of its dtype and of bf16", () => {
    scope(() => {
      manualSeed(5);
      const [x, slope] = [Tensor.randn([3, 7, 45], on), Tensor.randn([3, 7, 45], on)];
      const gain = Tensor.randn([45], on);
      const composed = (input: Tensor, weight: Tensor): Tensor =>
        input.mul(input.square().mean(-1, true).add(1e-5).rsqrt()).mul(weight);
      const leaf = gain.clone().requiresGrad_();
      const [expected] = gradientsOf([composed(x, leaf).mul(slope).sum()], [leaf]) as [Tensor];
      for (const [dtype, bound] of [
        ["float32", 1e-4],
        ["bfloat16", 0.2],
      ] as const) {
        const weight = gain.clone().requiresGrad_();
        const output = normalise(x.to(dtype), { weight, bias: null, offset: 0 }, { kind: "rms", eps: 1e-5 });
        const [gradient] = gradientsOf([output.mul(slope.to(dtype)).sum()], [weight]) as [Tensor];
        expect([output.dtype, gradient.dtype]).toEqual([dtype, "float32"]);
        expect(gradient.sub(expected).abs().amax().item()).toBeLessThan(bound);
      }
    });
  });
});

describe("bf16 passes are those of fp32, rounded", () => {
  // What is computed in fp32 and rounded once lies within half a unit of 8 bits; the cosines are rounded beforehand.
  it.each(passes)("%s", (_name, make, pass) => {
    scope(() => {
      manualSeed(3);
      const narrow = make().map((x) => x.to("bfloat16"));
      const wide = narrow.map((x) => x.detach().to("float32"));
      for (const x of [...narrow, ...wide]) x.requiresGrad_();
      const [actual, expected] = [pass(narrow), pass(wide)];
      expect(actual.dtype).toBe("bfloat16");
      expect(difference(actual, expected)).toBeLessThan(6e-3);
      const seed = Tensor.randn(expected.shape, on).to("bfloat16");
      const gradients = gradientsOf([actual], narrow, [seed]);
      const others = gradientsOf([expected], wide, [seed.to("float32")]);
      gradients.forEach((gradient, i) => {
        expect(gradient?.dtype).toBe("bfloat16");
        expect(difference(gradient as Tensor, others[i] as Tensor)).toBeLessThan(8e-3);
      });
    });
  });

  it("keeps numbers that are none", () => {
    scope(() => {
      const gate = Tensor.full([40], Number.NaN, on).to("bfloat16");
      const product = activateGate(gate, Tensor.ones([40], on).to("bfloat16"), "silu").toFloat32Array();
      expect(product.every(Number.isNaN)).toBe(true);
    });
  });
});

function difference(actual: Tensor, expected: Tensor): number {
  return actual.to("float32").sub(expected).abs().amax().item() / expected.abs().amax().item();
}
