import { expect, it } from "vitest";
import { manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { dequantize, roundToNearest, storableScale } from "../grid/grid.js";
import { searchRange } from "../grid/range.js";
import { parseScheme } from "../scheme.js";
import { SecondMoments } from "../second-moments.js";
import { gptq } from "./gptq.js";
import { refitScales } from "./refit-scales.js";

it.each(["W2A16", "W2A16g8", "W3A16g16"])("loses less of the output in every row, at %s", (name) => {
  scope(() => {
    manualSeed(41);
    const x = Tensor.randn([200, 32], on).matmul(Tensor.randn([32, 32], on));
    using moments = new SecondMoments(32, on.device);
    moments.add(x);
    const weight = Tensor.randn([12, 32], on);
    const before = roundToNearest(weight, searchRange(weight, parseScheme(name, { asym: true }), "w"));
    const after = refitScales(weight, before, moments);
    const loss = (quantized: Tensor): Tensor => x.linear(weight.sub(quantized)).square().sum(0);
    const gain = loss(dequantize(before)).sub(loss(dequantize(after)));
    expect(gain.amin().item()).toBeGreaterThan(-1e-3);
    expect(gain.sum().item()).toBeGreaterThan(0.02 * loss(dequantize(before)).sum().item());
    expect(after.codes.toArray()).toEqual(before.codes.toArray());
    expect(storableScale(after.scale).toArray()).toEqual(after.scale.toArray());
  });
});

it("finds the scale that codes were made with", () => {
  scope(() => {
    manualSeed(42);
    using moments = new SecondMoments(16, on.device);
    moments.add(Tensor.randn([64, 16], on));
    const grid = roundToNearest(
      Tensor.randn([3, 16], on),
      searchRange(Tensor.randn([3, 16], on), parseScheme("W3A16g8"), "w"),
    );
    const weight = dequantize(grid);
    const other = { ...grid, scale: storableScale(grid.scale.mul(1.25)) };
    // Group after group, the sweeps come to it.
    let found = other;
    for (let sweep = 0; sweep < 30; sweep++) found = refitScales(weight, found, moments);
    expect(found.scale.div(grid.scale).sub(1).abs().amax().item()).toBeLessThan(2e-3);
  });
});

it("is what GPTQ ends with where it is asked for", () => {
  scope(() => {
    manualSeed(43);
    using moments = new SecondMoments(32, on.device);
    moments.add(Tensor.randn([100, 32], on).matmul(Tensor.randn([32, 32], on)));
    const weight = Tensor.randn([6, 32], on);
    const scheme = parseScheme("W2A16g8", { asym: true });
    const plain = gptq(weight, moments, scheme, "w").codes;
    const { codes } = gptq(weight, moments, scheme, "w", { refit: true });
    expect(codes.scale.toArray()).toEqual(refitScales(weight, plain, moments).scale.toArray());
    expect(codes.scale.toArray()).not.toEqual(plain.scale.toArray());
  });
});
