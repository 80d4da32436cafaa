import { describe, expect, it } from "vitest";
import type { Parameter, Role } from "../../quant/parameter.js";
import { keep, Tensor } from "../../tensor/index.js";
import { decayWeights } from "./decay-weights.js";

describe("decoupled weight decay", () => {
  it("shortens what has a decay by its rate at this step, and nothing else", () => {
    const of = (role: Role, unit?: number): Parameter => ({
      role,
      name: role,
      tensor: keep(Tensor.from(Float32Array.of(2, -4))).requiresGrad_(),
      ...(unit !== undefined && { unit }),
    });
    const [factor, wide, scale, norm] = [of("lowRank"), of("lowRank", 3), of("scale"), of("norm")];
    const rates = { lowRank: 0.5, scale: 0.5 };
    decayWeights([factor, wide, scale, norm], { rates, by: { lowRank: 0.1, norm: 0.1 } }, 0.2);
    // 1 - 0.5 * 0.1 * 0.2; a rate in units of 3 is three times that; a role without a rate or without a decay stays.
    const values = [factor, wide, scale, norm].map(({ tensor }) => [...tensor.detach().toFloat32Array()]);
    const expected = [
      [1.98, -3.96],
      [1.94, -3.88],
      [2, -4],
      [2, -4],
    ];
    values.forEach((each, i) => {
      each.forEach((value, k) => {
        expect(value).toBeCloseTo(expected[i]?.[k] as number, 6);
      });
    });
    for (const { tensor } of [factor, wide, scale, norm]) tensor.dispose();
  });
});
