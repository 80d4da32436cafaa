import { describe, expect, it } from "vitest";
import { hasKernel, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { parseScheme } from "../scheme.js";
import { composedRoundInTurn, roundInTurn } from "../solver/round-in-turn.js";
import { dequantize, type Grid, grouped, roundToNearest } from "./grid.js";
import { composedSearch, searchRange } from "./range.js";

const fused = scope(() => hasKernel("crossblock::range_search", Tensor.zeros([1], on)));

function loss(weight: Tensor, grid: Grid, importance: Tensor | null): number {
  const error = dequantize(roundToNearest(weight, grid)).sub(weight).square();
  return (importance === null ? error : error.mul(importance)).sum().item();
}

describe.skipIf(!fused)("fused searches are the composed ones", () => {
  it.each(
    ["W2A16g13", "W3A16", "W4A16g26", "W8A16g39"].flatMap((name) =>
      [true, false].flatMap((asym) => [true, false].map((weighted) => ({ name, asym, weighted }))),
    ),
  )("ranges of $name, asymmetric $asym, weighted $weighted", ({ name, asym, weighted }) => {
    scope(() => {
      manualSeed(name.length);
      // Some groups on one side of zero, some of zeros alone.
      const weight = Tensor.randn([67, 78], on)
        .add(Tensor.randn([67, 1], on))
        .mul(0.1);
      weight.narrow(0, 3, 2).mul_(0);
      const importance = weighted ? Tensor.randn([78], on).square() : null;
      const scheme = parseScheme(name, { asym });
      const grid = searchRange(weight, scheme, "w", importance === null ? {} : { importance });
      const search = { bits: scheme.bits, symmetric: !asym, candidates: 60, smallest: 0.4, importance };
      const composed = { ...grid, ...composedSearch(grouped(weight, grid.groupSize), search) };
      // Sums in another order choose another of two candidates that are equally good.
      expect(grid.scale.eq(composed.scale).to("float32").mean().item()).toBeGreaterThan(0.97);
      expect(loss(weight, grid, importance)).toBeCloseTo(loss(weight, composed, importance), 4);
    });
  });

  it("tries every zero point that 2 bits have, with every scale", () => {
    scope(() => {
      manualSeed(2);
      const weight = Tensor.randn([24, 64], on).add(Tensor.randn([24, 1], on));
      const scheme = parseScheme("W2A16", { asym: true });
      const found = searchRange(weight, scheme, "w");
      const [least, most] = [weight.amin(1, true).clamp(null, 0), weight.amax(1, true).clamp(0)];
      const errors: Tensor[] = [];
      for (let zero = 0; zero < 4; zero++) {
        for (let i = 0; i < 60; i++) {
          const scale = most.sub(least).mul((1 - (i / 59) * 0.6) / 3);
          const shaped = { scale: scale.unsqueeze(2), zeroPoint: Tensor.full([24, 1, 1], zero, on) };
          const rounded = dequantize(roundToNearest(weight, { ...found, ...shaped }));
          errors.push(rounded.sub(weight).square().sum(1));
        }
      }
      const best = Tensor.stack(errors).amin(0).sum().item();
      // fp16 scales lose a little; the range's own zero point alone loses 8 %.
      expect(loss(weight, found, null)).toBeLessThan(best * 1.001);
    });
  });

  it("columns in turn", () => {
    scope(() => {
      manualSeed(8);
      const [rows, columns] = [37, 90];
      const factor = Tensor.randn([columns, columns], on).mul(0.02).triu(1);
      factor.diagonal().add_(1.5);
      const weight = Tensor.randn([rows, columns], on);
      const state = (): Parameters<typeof roundInTurn>[0] => ({
        weight: weight.clone(),
        codes: Tensor.zeros([rows, columns], on),
        errors: Tensor.zeros([rows, columns], on),
        factor,
      });
      const grid = { bits: 3, scale: Tensor.full([rows], 0.5, on), zeroPoint: Tensor.full([rows], 4, on) };
      const [one, other] = [state(), state()];
      for (const [first, count, reach] of [
        [0, 30, 64],
        [30, 34, 64],
        [64, 26, 90],
      ] as const) {
        roundInTurn(one, { ...grid, first, count, reach });
        composedRoundInTurn(other, { ...grid, first, count, reach });
      }
      expect(one.codes.eq(other.codes).to("float32").mean().item()).toBe(1);
      expect(one.weight.sub(other.weight).abs().amax().item()).toBeLessThan(1e-4);
      expect(one.errors.sub(other.errors).abs().amax().item()).toBeLessThan(1e-4);
    });
  });
});
