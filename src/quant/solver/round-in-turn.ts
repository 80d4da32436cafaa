import { callInPlace, hasKernel, scope, type Tensor } from "../../tensor/index.js";
import { levels } from "../scheme.js";

/** What GPTQ works on, all `[out, in]` and fp32 but `factor`. */
export interface GptqState {
  /** As corrected so far. */
  readonly weight: Tensor;
  readonly codes: Tensor;
  /** What each rounding lost, in units of the factor's diagonal. */
  readonly errors: Tensor;
  /** Upper Cholesky factor of the damped inverse of the second moments, `[in, in]`. */
  readonly factor: Tensor;
}

/** Columns that share a grid. */
export interface GptqColumns {
  readonly bits: number;
  /** `[out]`. */
  readonly scale: Tensor;
  /** `[out]`. */
  readonly zeroPoint: Tensor;
  readonly first: number;
  readonly count: number;
  /** The column up to which corrections are applied at once. */
  readonly reach: number;
}

/** Rounds columns one after the other; each corrects those that follow for what it lost. In place. */
export function roundInTurn(state: GptqState, columns: GptqColumns): void {
  if (hasKernel(fused, state.weight)) {
    const { weight, codes, errors, factor } = state;
    const { scale, zeroPoint, first, count, reach, bits } = columns;
    callInPlace(fused, [weight, codes, errors, factor, scale, zeroPoint, first, count, reach, bits]);
  } else {
    composedRoundInTurn(state, columns);
  }
}

const fused = "crossblock::gptq_columns_";

/** The same out of libtorch's operators: for devices without the kernel, and what it is tested against. */
export function composedRoundInTurn(
  { weight, codes, errors, factor }: GptqState,
  { bits, scale, zeroPoint, first, count, reach }: GptqColumns,
): void {
  for (let column = first; column < first + count; column++) {
    scope(() => {
      const x = weight.select(1, column);
      const code = x
        .div(scale)
        .round_()
        .add_(zeroPoint)
        .clamp_(0, levels(bits) - 1);
      codes.select(1, column).copy_(code);
      const correction = factor.select(0, column);
      const lost = x.sub(code.sub_(zeroPoint).mul_(scale)).div_(correction.select(0, column));
      errors.select(1, column).copy_(lost);
      const left = reach - column - 1;
      if (left === 0) return;
      weight.narrow(1, column + 1, left).sub_(lost.outer(correction.narrow(0, column + 1, left)));
    });
  }
}
