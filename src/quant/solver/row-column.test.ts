import { describe, expect, it } from "vitest";
import { manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { dequantize } from "../grid/grid.js";
import { parseScheme } from "../scheme.js";
import { SecondMoments } from "../second-moments.js";
import { gptq } from "./gptq.js";
import { rowColumn, rowsOfStep } from "./row-column.js";

function momentsOf(x: Tensor): SecondMoments {
  const moments = new SecondMoments(x.size(1), on.device);
  moments.add(x);
  return moments;
}

/** Rows whose columns are correlated. */
function correlated(rows: number, width: number): Tensor {
  const mix = Tensor.randn([width, width], on)
    .mul(0.3)
    .add(Tensor.randn([width, 1], on));
  return Tensor.randn([rows, width], on).matmul(mix);
}

function squares(x: Tensor): Tensor {
  return x.transpose(0, 1).matmul(x).div(x.size(0));
}

describe("BoA's solver", () => {
  it.each(["W2A16g16", "W3A16"])("is GPTQ to the bit where no row depends on another, at %s", (name) => {
    scope(() => {
      manualSeed(11);
      using moments = momentsOf(correlated(300, 64));
      const weight = Tensor.randn([24, 64], on);
      const scheme = parseScheme(name, { asym: true });
      // One block of columns: sums over several are rounded by the kernel that the number of rows asks for.
      const options = { blockSize: 64, widths: [1, 1.2] };
      const expected = gptq(weight, moments, scheme, "w", options).codes;
      const identity = Tensor.ones([8], on);
      const rows = Tensor.zeros([3, 8, 8], on);
      for (let head = 0; head < 3; head++) rows.select(0, head).diagonal().add_(identity);
      for (const factor of [null, rows]) {
        const { codes } = rowColumn(weight, { columns: [moments], rows: factor, heads: 3 }, scheme, "w", options);
        expect(codes.codes.toArray()).toEqual(expected.codes.toArray());
        expect(codes.scale.toArray()).toEqual(expected.scale.toArray());
        expect(codes.zeroPoint.toArray()).toEqual(expected.zeroPoint.toArray());
      }
    });
  });

  it("moves the rows after a row by their share of what it lost", () => {
    scope(() => {
      // R = [[2, 1], [1, 2]]: w_0 - q_0 = 0.2 moves row 1 by U_01 / U_00 of it, -1/2, to the other side: +0.1.
      const rows = Tensor.from(Float32Array.from([2, 1, 1, 2]), [1, 2, 2], on);
      const columns = momentsOf(Tensor.from(Float32Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]), [4, 3], on));
      const weight = Tensor.from(Float32Array.from([0.2, 3, -4, 1.3, 3, -4]), [2, 3], on);
      const { codes, corrected } = rowColumn(
        weight,
        { columns: [columns], rows, heads: 1 },
        parseScheme("W4A16"),
        "w",
        {
          rowDamping: 1e-9,
          damping: 1e-9,
          candidates: 1,
          keepCorrected: true,
        },
      );
      const lost = weight.sub(dequantize(codes)).select(0, 0).toFloat32Array();
      const moved = (corrected as Tensor).sub(weight).select(0, 1).toFloat32Array();
      expect(Math.abs(lost[0] as number)).toBeGreaterThan(0.1);
      for (const [i, each] of lost.entries()) expect(moved[i]).toBeCloseTo(each / 2, 6);
      columns.dispose();
    });
  });

  it.each([2, 3, 4])("loses less than GPTQ of what it minimises, at %i bits", (bits) => {
    scope(() => {
      manualSeed(12);
      using moments = momentsOf(correlated(400, 64));
      const rows = squares(correlated(200, 16)).unsqueeze(0);
      const weight = Tensor.randn([16, 64], on);
      const scheme = parseScheme(`W${bits}A16`, { asym: true });
      const cost = (quantized: Tensor): number => {
        const error = weight.sub(quantized);
        return rows.select(0, 0).matmul(error).matmul(moments.matrix).mul(error).sum().item();
      };
      const plain = cost(dequantize(gptq(weight, moments, scheme, "w").codes));
      const found = rowColumn(weight, { columns: [moments], rows, heads: 1 }, scheme, "w");
      expect(cost(dequantize(found.codes))).toBeLessThan(0.8 * plain);
    });
  });

  it("makes up in the rows that are left for what several rows at once have lost", () => {
    scope(() => {
      manualSeed(15);
      using moments = momentsOf(correlated(100, 16));
      // R = I + v v^T: of the last two rows, R_RR^-1 R_RB E = v_R (v_B . E) / (1 + |v_R|^2).
      const v = [0.5, -1, 2, 1];
      const form = v.flatMap((a, i) => v.map((b, j) => a * b + (i === j ? 1 : 0)));
      const rows = Tensor.from(Float32Array.from(form), [1, 4, 4], on);
      const weight = Tensor.randn([4, 16], on);
      const options = { rowsAtOnce: 2, rowDamping: 1e-9, keepCorrected: true, blockSize: 1 } as const;
      const { codes } = rowColumn(weight, { columns: [moments], rows, heads: 1 }, parseScheme("W2A16"), "w", options);
      const lost = weight.sub(dequantize(codes)).narrow(0, 0, 2);
      const carried = lost.select(0, 0).mul(0.5).sub(lost.select(0, 1)).div(6);
      const moved = weight.narrow(0, 2, 2).add(Tensor.stack([carried.mul(2), carried]));
      // The rows that are left are GPTQ's of the weights that were moved so.
      const rest = gptq(moved, moments, parseScheme("W2A16"), "w", options).codes;
      expect([...codes.codes.narrow(0, 2, 2).toFloat32Array()]).toEqual([...rest.codes.toFloat32Array()]);
    });
  });

  it("leaves rows to make up for others in a head that has no more than are rounded at once", () => {
    expect([1, 2, 3, 4, 15, 16, 17, 64].map((width) => rowsOfStep(16, width))).toEqual([1, 1, 1, 1, 3, 4, 16, 16]);
    scope(() => {
      manualSeed(16);
      using moments = momentsOf(correlated(400, 64));
      const rows = Tensor.stack([squares(correlated(200, 16)), squares(correlated(200, 16))]);
      const weight = Tensor.randn([32, 64], on);
      const scheme = parseScheme("W2A16", { asym: true });
      const codesOf = (rowsAtOnce: number): readonly number[] => [
        ...rowColumn(weight, { columns: [moments], rows, heads: 2 }, scheme, "w", {
          rowsAtOnce,
        }).codes.codes.toFloat32Array(),
      ];
      expect(codesOf(16)).toEqual(codesOf(4));
      expect(codesOf(16)).not.toEqual([...gptq(weight, moments, scheme, "w").codes.codes.toFloat32Array()]);
    });
  });

  it("takes the columns of each head", () => {
    scope(() => {
      manualSeed(13);
      using first = momentsOf(correlated(300, 32));
      using second = momentsOf(correlated(300, 32));
      const weight = Tensor.randn([8, 32], on);
      const scheme = parseScheme("W2A16g16", { asym: true });
      const { codes } = rowColumn(weight, { columns: [first, second], rows: null, heads: 2 }, scheme, "w");
      const apart = [first, second].flatMap((moments, head) => [
        ...gptq(weight.narrow(0, 4 * head, 4), moments, scheme, "w").codes.codes.toFloat32Array(),
      ]);
      expect([...codes.codes.toFloat32Array()]).toEqual(apart);
      expect(codes.scale.shape).toEqual([8, 2, 1]);
    });
  });

  it("survives factors of low rank", () => {
    scope(() => {
      manualSeed(14);
      using moments = momentsOf(Tensor.randn([3, 32], on).mul(1e3));
      const rows = squares(Tensor.randn([2, 8], on)).unsqueeze(0);
      const { codes } = rowColumn(
        Tensor.randn([8, 32], on),
        { columns: [moments], rows, heads: 1 },
        parseScheme("W2A16"),
        "w",
        {
          damping: 1e-12,
          rowDamping: 1e-12,
        },
      );
      expect(dequantize(codes).isfinite().all().item()).toBe(1);
    });
  });
});
