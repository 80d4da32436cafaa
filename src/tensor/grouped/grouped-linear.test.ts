import { describe, expect, it } from "vitest";
import { gradientsOf, liveHandles, manualSeed, scope, Tensor } from "../index.js";
import { on } from "../testing/test-device.js";
import { groupedLinear, groupsAtOnce } from "./grouped-linear.js";
import { groupSizes, rowGroups } from "./row-groups.js";

const GROUPS = 4;
const [OUT, IN] = [16, 24];
/** Rows of each group; the second has none. */
const SIZES = [5, 0, 9, 2];

function problem() {
  manualSeed(1);
  const ids = BigInt64Array.from(SIZES.flatMap((size, group) => Array.from({ length: size }, () => BigInt(group))));
  return {
    groups: rowGroups(Tensor.from(ids).to(on.device), GROUPS),
    x: Tensor.randn([ids.length, IN], on),
    weight: Tensor.randn([GROUPS * OUT, IN], on),
    bias: Tensor.randn([GROUPS * OUT], on),
    seed: Tensor.randn([ids.length, OUT], on),
  };
}

/** The same as one product of every row, out of libtorch's operators. */
function rowByRow(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const group = SIZES.flatMap((size, g) => Array.from({ length: size }, () => g));
  return Tensor.stack(
    group.map((g, i) => x.select(0, i).linear(weight.narrow(0, g * OUT, OUT), bias.narrow(0, g * OUT, OUT))),
  );
}

function relative(a: Tensor, b: Tensor): number {
  return a.to("float32").sub(b.to("float32")).abs().amax().div(b.to("float32").abs().amax()).item();
}

describe("groups of rows", () => {
  it("are counted by where each ends", () => {
    scope(() => {
      const { groups } = problem();
      expect([...groups.ends.toFloat32Array()]).toEqual([5, 5, 14, 16]);
      expect(groupSizes(groups)).toEqual(SIZES);
    });
  });
});

describe("grouped products", () => {
  it.each(["float32", "bfloat16"] as const)("are those of every row with the matrix of its group, in %s", (dtype) => {
    const before = liveHandles();
    scope(() => {
      const { groups, ...wide } = problem();
      const [x, weight, bias] = [wide.x, wide.weight, wide.bias].map((tensor) => tensor.to(dtype)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      x.requiresGrad_();
      weight.requiresGrad_();
      const tolerance = dtype === "float32" ? 1e-5 : 2e-2;
      const [ours, plain] = [groupedLinear(x, weight, bias, groups), rowByRow(x, weight, bias)];
      expect(ours.dtype).toBe(dtype);
      expect(relative(ours, plain)).toBeLessThan(tolerance);
      const seed = wide.seed.to(dtype);
      const gradients = gradientsOf([ours], [x, weight], [seed]);
      const expected = gradientsOf([plain], [x, weight], [seed]);
      gradients.forEach((gradient, i) => {
        expect(relative(gradient as Tensor, expected[i] as Tensor)).toBeLessThan(tolerance);
      });
      // Nothing reaches the matrix of a group without rows.
      expect(gradients[1]?.narrow(0, OUT, OUT).abs().amax().item()).toBe(0);
    });
    expect(liveHandles()).toBe(before);
  });

  it("of all groups at once need a GPU and bf16", () => {
    expect(groupsAtOnce("cpu", "bfloat16", [16, 24])).toBe(false);
    expect(groupsAtOnce("cuda:0", "float32", [16, 24])).toBe(false);
    expect(groupsAtOnce("cuda:0", "bfloat16", [15, 24])).toBe(false);
  });
});
