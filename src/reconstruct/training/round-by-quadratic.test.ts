import { describe, expect, it } from "vitest";
import { dequantize } from "../../quant/grid/grid.js";
import { parseScheme } from "../../quant/scheme.js";
import { SecondMoments } from "../../quant/second-moments.js";
import { rowColumn } from "../../quant/solver/row-column.js";
import { liveHandles, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { Quadratic } from "../objective/quadratic.js";
import { roundByQuadratic } from "./round-by-quadratic.js";

const training = {
  iterations: 300,
  rate: 0.05,
  scaleRate: 0,
  softness: 1,
  penalty: 30,
  warmup: 0.2,
  betaStart: 20,
  betaEnd: 2,
  poll: (): void => {},
};

function correlated(rows: number, width: number): Tensor {
  const mix = Tensor.randn([width, width], on)
    .mul(0.3)
    .add(Tensor.randn([width, 1], on));
  return Tensor.randn([rows, width], on).matmul(mix);
}

/** BoA's codes of a weight of one head, and what they are held against. */
function problem(coupled: boolean) {
  // Where everything hangs together a head's codes are hard to better all at once.
  const x = coupled ? Tensor.randn([80, 32], on) : correlated(300, 32);
  const moments = new SecondMoments(32, on.device);
  moments.add(x);
  const queries = Tensor.randn([60, 16], on);
  const rows = coupled ? queries.transpose(0, 1).matmul(queries).div(60).unsqueeze(0) : null;
  const weight = Tensor.randn([16, 32], on);
  const factors = { columns: [moments], rows, heads: 1 };
  const found = rowColumn(weight, factors, parseScheme("W2A16g16", { asym: true }), "w", { keepCorrected: true });
  return {
    moments,
    quadratic: new Quadratic(weight, factors),
    start: found.codes,
    corrected: found.corrected as Tensor,
  };
}

describe("AdaRound on a quadratic", () => {
  it.each([
    ["rows", 0, 1],
    ["heads", 0, 1],
    ["rows", 1e-3, 1],
    ["heads", 0, 0.3],
  ] as const)(
    "loses less in every part than what it starts from: %s, scales %f, softness %f",
    (parts, scaleRate, softness) => {
      const live = liveHandles();
      scope(() => {
        manualSeed(61);
        const { moments, quadratic, start, corrected } = problem(parts === "heads");
        const codes = roundByQuadratic(corrected, start, quadratic, { ...training, scaleRate, softness });
        const [before, after] = [quadratic.costs(dequantize(start)), quadratic.costs(dequantize(codes))];
        expect(after.sub(before).amax().item()).toBeLessThanOrEqual(0);
        expect(after.sum().item()).toBeLessThan(before.sum().item());
        const same = codes.scale.eq(start.scale).all().item() === 1;
        expect(same).toBe(scaleRate === 0);
        moments.dispose();
      });
      expect(liveHandles()).toBe(live);
    },
  );

  it("keeps what it starts from where it takes no step", () => {
    scope(() => {
      manualSeed(62);
      const { moments, quadratic, start, corrected } = problem(true);
      const codes = roundByQuadratic(corrected, start, quadratic, { ...training, iterations: 0 });
      expect(codes.codes.toArray()).toEqual(start.codes.toArray());
      moments.dispose();
    });
  });

  it("can be stopped, and leaves nothing behind", () => {
    const live = liveHandles();
    scope(() => {
      manualSeed(63);
      const { moments, quadratic, start, corrected } = problem(false);
      let polls = 0;
      const poll = (): void => {
        if (++polls === 3) throw new RangeError("stopped");
      };
      expect(() => roundByQuadratic(corrected, start, quadratic, { ...training, poll })).toThrow("stopped");
      moments.dispose();
    });
    expect(liveHandles()).toBe(live);
  });
});
