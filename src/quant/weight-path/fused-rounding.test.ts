import { describe, expect, it } from "vitest";
import { callTensor, type DType, gradientsOf, hasKernel, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { composedTokenRound, tokenRound } from "../input/activation.js";
import { type CodeUnitInputs, codeUnitRound, composedCodeUnitRound } from "./code-unit-round.js";
import { composedSoftRound, type SoftInputs, softRound } from "./soft-round.js";

const fused = scope(() => hasKernel("crossblock::soft_round", Tensor.zeros([1], on)));

// Odd sizes, so that rows end inside a vector; several of them, so that threads share the rows.
const shapes = [
  { rows: 70, groups: 3, groupSize: 13 },
  { rows: 5, groups: 1, groupSize: 260 },
  { rows: 130, groups: 4, groupSize: 64 },
];
const grids = [2, 3, 4, 8].flatMap((bits) => [true, false].map((symmetric) => ({ bits, symmetric })));

function uniform(shape: readonly number[]): Tensor {
  return callTensor("aten::rand_like", [Tensor.zeros(shape, on)]);
}

function gridOf(rows: number, groups: number, { bits, symmetric }: { bits: number; symmetric: boolean }) {
  const half = 2 ** (bits - 1);
  // Small enough for some codes to be clipped; signed, as symmetric grids are.
  const scale = uniform([rows, groups, 1]).mul(0.6).add(0.7).div(half);
  const sign = Tensor.randn([rows, groups, 1], on).sign();
  return {
    bits,
    symmetric,
    scale: symmetric ? scale.mul(sign) : scale,
    zeroPoint: symmetric ? Tensor.full([rows, groups, 1], half, on) : uniform([rows, groups, 1]).mul(2 ** bits - 1),
  };
}

function relative(actual: Tensor, expected: Tensor): number {
  const largest = expected.abs().amax().item();
  return actual.sub(expected).abs().amax().item() / Math.max(largest, 1e-12);
}

function agree(
  one: () => Tensor,
  other: () => Tensor,
  learnt: readonly Tensor[],
  bounds: { value: number; gradient: number },
): void {
  for (const tensor of learnt) tensor.requiresGrad_();
  const [a, b] = [one(), other()];
  expect(relative(a, b)).toBeLessThanOrEqual(bounds.value);
  const seed = Tensor.randn(a.shape, on);
  const [left, right] = [gradientsOf([a], learnt, [seed]), gradientsOf([b], learnt, [seed])];
  left.forEach((gradient, i) => {
    expect(gradient?.shape).toEqual(learnt[i]?.shape);
    expect(relative(gradient as Tensor, right[i] as Tensor)).toBeLessThan(bounds.gradient);
  });
}

describe.skipIf(!fused)("fused roundings are the composed ones", () => {
  it.each(shapes.flatMap((shape) => grids.map((grid) => ({ ...shape, ...grid }))))(
    "code-unit, $rows x $groups x $groupSize, $bits bits, symmetric $symmetric",
    ({ rows, groups, groupSize, ...kind }) => {
      scope(() => {
        manualSeed(rows + kind.bits);
        const grid = gridOf(rows, groups, kind);
        const weight = Tensor.randn([rows, groups, groupSize], on);
        const V = uniform([rows, groups, groupSize]).sub(0.5);
        const inputs: CodeUnitInputs = { weight, V, grid };
        agree(
          () => codeUnitRound(inputs),
          () => composedCodeUnitRound(inputs),
          kind.symmetric ? [V, grid.scale] : [V, grid.scale, grid.zeroPoint],
          { value: 0, gradient: 1e-5 },
        );
      });
    },
  );

  it.each(
    shapes.flatMap((shape) =>
      [0, 1, 5, 64].flatMap((rank) =>
        [null, { weight: 0.7, beta: 6.5 }].map((penalty) => ({ ...shape, rank, penalty })),
      ),
    ),
  )(
    "soft, $rows x $groups x $groupSize, rank $rank, penalty $penalty",
    ({ rows, groups, groupSize, rank, penalty }) => {
      for (const kind of grids.slice(0, 4)) {
        scope(() => {
          manualSeed(rank + rows);
          const grid = gridOf(rows, groups, kind);
          const columns = groups * groupSize;
          const term = penalty && Tensor.from(Float32Array.of(penalty.weight, penalty.beta), undefined, on);
          const left = rank === 0 ? null : Tensor.randn([rows, rank], on).mul(1 / Math.sqrt(rank));
          const right = Tensor.randn([rank === 0 ? rows : rank, columns], on);
          const startScale = grid.scale.mul(1.1);
          const weight = Tensor.randn([rows, groups, groupSize], on);
          const inputs: SoftInputs = { weight, startScale, start: null, offset: { left, right }, grid };
          const learnt = [
            right,
            grid.scale,
            ...(left === null ? [] : [left]),
            ...(kind.symmetric ? [] : [grid.zeroPoint]),
          ];
          agree(
            () => softRound(inputs, term),
            () => composedSoftRound(inputs, term),
            learnt,
            // The sigmoid is computed another way.
            { value: 1e-5, gradient: 2e-4 },
          );
        });
      }
    },
  );

  it.each([4, 8])("inputs per token, %i bits", (bits) => {
    scope(() => {
      manualSeed(bits);
      const x = Tensor.randn([3, 37, 45], on);
      const clip = Tensor.full([1], 0.8, on);
      agree(
        () => tokenRound(x, clip, bits),
        () => composedTokenRound(x, clip, bits),
        [x, clip],
        // A division fused otherwise may move a number that lies between two codes.
        { value: 1 / (0.8 * (2 ** (bits - 1) - 1)), gradient: 1e-2 },
      );
    });
  });

  it.each(shapes)(
    "in bf16 what the same in fp32 rounds to, $rows x $groups x $groupSize",
    ({ rows, groups, groupSize }) => {
      scope(() => {
        manualSeed(rows);
        const grid = gridOf(rows, groups, { bits: 3, symmetric: false });
        const weight = Tensor.randn([rows, groups, groupSize], on);
        const V = uniform([rows, groups, groupSize]).sub(0.5);
        const offset = { left: Tensor.randn([rows, 5], on), right: Tensor.randn([5, groups * groupSize], on) };
        const soft: SoftInputs = { weight, startScale: grid.scale, start: null, offset, grid };
        const seed = Tensor.randn(weight.shape, on).to("bfloat16");
        for (const [round, learnt] of [
          [(dtype: DType) => codeUnitRound({ weight, V, grid }, dtype), [V, grid.scale, grid.zeroPoint]],
          [(dtype: DType) => softRound(soft, null, dtype), [offset.left, offset.right, grid.scale, grid.zeroPoint]],
        ] as const) {
          for (const tensor of learnt) tensor.requiresGrad_();
          const [narrow, wide] = [round("bfloat16"), round("float32")];
          expect(narrow.dtype).toBe("bfloat16");
          expect(relative(narrow.to("float32"), wide.to("bfloat16").to("float32"))).toBe(0);
          const [left, right] = [
            gradientsOf([narrow], learnt, [seed]),
            gradientsOf([wide], learnt, [seed.to("float32")]),
          ];
          left.forEach((gradient, i) => {
            expect(gradient?.dtype).toBe("float32");
            expect(relative(gradient as Tensor, right[i] as Tensor)).toBeLessThan(1e-5);
          });
        }
      });
    },
  );

  it("inputs per token in bf16", () => {
    scope(() => {
      manualSeed(4);
      const x = Tensor.randn([3, 37, 45], on).to("bfloat16");
      // With 0.8 inputs such as 1 in a row whose largest is 3.5 lie between two codes, where the formulas part.
      const clip = Tensor.full([1], 0.7931, on);
      const wide = tokenRound(x.to("float32"), clip, 4).to("bfloat16");
      expect(relative(tokenRound(x, clip, 4).to("float32"), wide.to("float32"))).toBe(0);
      const seed = Tensor.randn(x.shape, on).to("bfloat16");
      // Composed in fp32: in bf16 its own sum over the clip would be the larger error.
      const exact = x.to("float32");
      for (const tensor of [x, exact, clip]) tensor.requiresGrad_();
      const of = (round: typeof tokenRound, by: Tensor): [Tensor, Tensor] =>
        gradientsOf([round(by, clip, 4)], [by, clip], [seed.to(by.dtype)]) as [Tensor, Tensor];
      const [dx, dClip] = of(tokenRound, x);
      const [expected, expectedClip] = of(composedTokenRound, exact);
      expect(relative(dx.to("float32"), expected)).toBeLessThan(4e-3);
      expect(relative(dClip, expectedClip)).toBeLessThan(1e-4);
    });
  });

  it("keeps a gradient of the penalty where the code is clipped", () => {
    scope(() => {
      const scale = Tensor.full([1, 1, 1], 0.1, on);
      const V = Tensor.full([1, 4], 0.2, on).requiresGrad_();
      const inputs: SoftInputs = {
        weight: Tensor.full([1, 1, 4], 5.03, on),
        startScale: scale,
        start: null,
        offset: { left: null, right: V },
        grid: { bits: 2, symmetric: true, scale, zeroPoint: Tensor.full([1, 1, 1], 2, on) },
      };
      const [gradient] = gradientsOf(
        [softRound(inputs, Tensor.from(Float32Array.of(1, 2), undefined, on))],
        [V],
        [Tensor.ones([1, 1, 4], on)],
      );
      expect(gradient?.abs().amin().item()).toBeGreaterThan(0.01);
    });
  });
});
