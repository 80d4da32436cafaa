import { type Codes, dequantize } from "../../quant/grid/grid.js";
import { adaRound } from "../../quant/weight-path/soft-rounding.js";
import { Adam, backward, enableGrad, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { Quadratic } from "../objective/quadratic.js";
import { RecordedStep } from "./recorded-step.js";

export interface QuadraticRoundingOptions {
  readonly iterations: number;
  /** Adam rate of the roundings. */
  readonly rate: number;
  /** Adam rate of the scales, relative to them; 0 leaves them as they are. */
  readonly scaleRate: number;
  /** How far from its code each weight begins: 1 at the corrected weight (the paper), 0 at the code itself. */
  readonly softness: number;
  /** Weight of the rounding penalty beside a loss of 1, which is that of the codes that it starts from. */
  readonly penalty: number;
  /** Share of the iterations without the penalty. */
  readonly warmup: number;
  readonly betaStart: number;
  readonly betaEnd: number;
  /** Called now and then: throws to stop. */
  readonly poll: () => void;
}

/** Iterations between two polls. */
const POLLED = 16;

/**
 * AdaRound of one weight on a quadratic loss: whether each weight goes down or up is learnt, from `start` on, with the penalty
 * that drives every choice to 0 or 1: none at first, then with an exponent that falls. What a row (or a head) loses with the
 * codes that were learnt is held against what it loses with those of the start: the better ones stay.
 * Source: aespa (arXiv 2402.08958), algorithm 1; AdaRound (arXiv 2004.10568).
 *
 * @param corrected fp32 `[out, in]`: floor and ceiling are those of this weight, which a column solver moved to make up for errors
 * @param start codes on the grid that is kept
 */
export function roundByQuadratic(
  corrected: Tensor,
  start: Codes,
  quadratic: Quadratic,
  options: QuadraticRoundingOptions,
): Codes {
  const { iterations, rate, scaleRate, softness, poll } = options;
  const before = noGrad(() => quadratic.costs(dequantize(start)));
  const unit = Math.max(before.sum().item(), 1e-30);
  const path = noGrad(() =>
    scope(() => {
      const codes = dequantize(start);
      return adaRound(softness === 1 ? corrected : codes.add(corrected.sub(codes).mul(softness)), start);
    }),
  );
  try {
    const of = (role: "rounding" | "scale"): Tensor[] =>
      path.parameters.filter((parameter) => parameter.role === role).map(({ tensor }) => tensor);
    const scales = scaleRate > 0 ? [{ parameters: of("scale"), rate: scaleRate }] : [];
    const adam = new Adam([{ parameters: of("rounding"), rate }, ...scales]);
    // Uploaded at once: a copy from the host within a step would wait for the device.
    const rows = Array.from({ length: iterations }, (_, i) => [...penaltyAt(i, options), ...adam.paceAt(i + 1, 1)]);
    const { device } = corrected;
    const table = keep(Tensor.from(Float32Array.from(rows.flat()), [iterations, 4], { device }));
    const row = keep(Tensor.zeros([4], { device }));
    const learn = (): void =>
      enableGrad(() =>
        scope(() => {
          backward(quadratic.loss(path.weight(row.narrow(0, 0, 2)), unit));
          adam.stepAt(row.narrow(0, 2, 2));
          for (const { tensor } of path.parameters) tensor.clearGrad();
        }),
      );
    try {
      using step = new RecordedStep(device, learn);
      for (let i = 0; i < iterations; i++) {
        if (i % POLLED === 0) poll();
        noGrad(() => scope(() => void row.copy_(table.select(0, i))));
        step.run();
      }
    } finally {
      row.dispose();
      table.dispose();
      adam.dispose();
    }
    return noGrad(() => scope(() => better(path.harden(), start, before, quadratic)));
  } finally {
    path.dispose();
  }
}

// Part by part, that of the two which costs less.
function better(learnt: Codes, start: Codes, before: Tensor, quadratic: Quadratic): Codes {
  const wins = quadratic.costs(dequantize(learnt)).lt(before);
  const rows = wins.repeatInterleave(start.codes.size(0) / wins.size(0), 0);
  const groups = rows.unsqueeze(2);
  return {
    ...start,
    codes: Tensor.where(rows, learnt.codes, start.codes),
    scale: Tensor.where(groups, learnt.scale, start.scale),
    zeroPoint: Tensor.where(groups, learnt.zeroPoint, start.zeroPoint),
  };
}

// The penalty's weight and exponent at a step.
function penaltyAt(step: number, options: QuadraticRoundingOptions): readonly [number, number] {
  const { iterations, warmup, penalty, betaStart, betaEnd } = options;
  const begun = warmup * iterations;
  if (step < begun) return [0, betaStart];
  return [penalty, betaStart + ((step - begun) / Math.max(1, iterations - begun)) * (betaEnd - betaStart)];
}
