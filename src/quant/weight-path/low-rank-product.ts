import { type DType, differentiable, noGrad, scope, Tensor } from "../../tensor/index.js";
import { grouped, ungrouped } from "../grid/grid.js";

/** A frozen weight with what is learnt around it. */
export interface LowRankTerms {
  /** `W0 [out, in]`. */
  readonly weight: Tensor;
  /** `A [rank, in]`, fp32. */
  readonly down: Tensor;
  /** `B [out, rank]`, fp32. */
  readonly up: Tensor;
  /** What `B A` is multiplied with. */
  readonly factor: number;
  /** `s`, fp32 `[out, groups, 1]`; may be negative. */
  readonly scale: Tensor;
  /** `b`, fp32 `[out, groups, 1]`. */
  readonly offset: Tensor;
  readonly groupSize: number;
  readonly bits: number;
}

/** Weights that are quantized at once: their intermediate results take some 100 MB. */
export const QUANTIZED_AT_ONCE = 2 ** 22;

/**
 * `x [..., in]` times `W_q [out, in]` transposed, plus `bias [out]`, in `dtype`, where
 *
 *   W_c = W0 + factor B A,   w = (W_c - b) / s,   w~ = round(clamp(w, Qn, Qp)),   W_q = s w~ + b
 *
 * Only `x` is kept for the backward pass, which makes `W_q` anew, forms `G = dL/dY X^T` of this one Linear, takes all
 * gradients from it and frees it: kept alive, either takes as much as the model's weights (42 GB in place of 25 at 7 B).
 *
 *   m = [Qn <= w <= Qp],   dA = factor B^T (G m),   dB = factor (G m) A^T,
 *   ds = sum_group G (w~ - w m),   db = sum_group G (1 - m),   dX = W_q^T dL/dY
 *
 * Source: L4Q (arXiv 2402.04902), section 3.2. `ds` without `- w m` is a mistake that a port of it has.
 */
export function lowRankProduct(x: Tensor, terms: LowRankTerms, bias: Tensor | null, dtype: DType): Tensor {
  const { down, up, scale, offset } = terms;
  const passesBack = x.requiresGrad;
  return differentiable(
    [x, down, up, scale, offset],
    () => ({
      output: x.to(dtype).linear(
        scope(() => quantized(terms, dtype)),
        bias,
      ),
      saved: [x, down, up, scale, offset],
    }),
    (gradient, [input, ...saved]) => {
      const [a, b, s, o] = saved as [Tensor, Tensor, Tensor, Tensor];
      const now = { ...terms, down: a, up: b, scale: s, offset: o };
      return noGrad(() => {
        const { weight, ...learnt } = gradients(now, gradient, input as Tensor, passesBack);
        const passed = weight === null ? null : gradient.matmul(weight);
        return [passed, learnt.down, learnt.up, learnt.scale, learnt.offset];
      });
    },
  );
}

/** `W_q [out, in]` of the terms as they are, without a graph. */
export function quantized(terms: LowRankTerms, dtype: DType): Tensor {
  const [rows, columns] = terms.weight.shape as [number, number];
  const result = Tensor.empty([rows, columns], { dtype, device: terms.weight.device });
  for (const [first, count] of pieces(rows, columns)) {
    scope(() => {
      const { rounded, scale, offset } = codesOf(terms, first, count);
      result.narrow(0, first, count).copy_(ungrouped(rounded.mul_(scale).add_(offset)));
    });
  }
  return result;
}

/** What a code is before and after it is rounded, `[rows, groups, size]`, of some rows. */
interface RowCodes {
  readonly exact: Tensor;
  readonly rounded: Tensor;
  readonly scale: Tensor;
  readonly offset: Tensor;
}

/** `w` and `w~` of `count` rows from `first` on. */
export function codesOf(terms: LowRankTerms, first: number, count: number): RowCodes {
  const { weight, down, up, factor, groupSize, bits } = terms;
  const [least, most] = codeBounds(bits);
  const [scale, offset] = [terms.scale, terms.offset].map((each) => each.narrow(0, first, count)) as [Tensor, Tensor];
  const merged = up
    .narrow(0, first, count)
    .matmul(down)
    .mul_(factor)
    .add_(weight.narrow(0, first, count));
  const exact = grouped(merged, groupSize).sub_(offset).div_(scale);
  return { exact, rounded: exact.clamp(least, most).round_(), scale, offset };
}

/** `Qn` and `Qp`: the codes with their sign. */
export function codeBounds(bits: number): readonly [least: number, most: number] {
  return [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

interface Gradients {
  /** `W_q`, where the input wants a gradient. */
  readonly weight: Tensor | null;
  readonly down: Tensor;
  readonly up: Tensor;
  readonly scale: Tensor;
  readonly offset: Tensor;
}

function gradients(terms: LowRankTerms, gradient: Tensor, input: Tensor, withWeight: boolean): Gradients {
  const { down, up, factor, groupSize, bits } = terms;
  const [rows, columns] = terms.weight.shape as [number, number];
  const [least, most] = codeBounds(bits);
  const ofOutput = gradient.reshape([-1, rows]);
  const x = input.to(gradient.dtype).reshape([-1, columns]);
  const weight = withWeight ? Tensor.empty([rows, columns], { dtype: gradient.dtype, device: up.device }) : null;
  const zeros = ({ shape, device }: Tensor): Tensor => Tensor.zeros(shape, { device });
  const result = { weight, down: zeros(down), up: zeros(up), scale: zeros(terms.scale), offset: zeros(terms.offset) };
  for (const [first, count] of pieces(rows, columns)) {
    scope(() => {
      const { exact, rounded, scale, offset } = codesOf(terms, first, count);
      const inside = exact.ge(least).mul(exact.le(most)).to("float32");
      const G = grouped(ofOutput.narrow(1, first, count).transpose(0, 1).matmul(x).to("float32"), groupSize);
      result.scale.narrow(0, first, count).copy_(rounded.sub(exact.mul_(inside)).mul_(G).sum(2, true));
      const passed = inside.mul_(G);
      result.offset.narrow(0, first, count).copy_(G.sub_(passed).sum(2, true));
      const ofWeight = ungrouped(passed);
      result.up.narrow(0, first, count).copy_(ofWeight.matmul(down.transpose(0, 1)).mul_(factor));
      result.down.add_(up.narrow(0, first, count).transpose(0, 1).matmul(ofWeight), factor);
      weight?.narrow(0, first, count).copy_(ungrouped(rounded.mul_(scale).add_(offset)));
    });
  }
  return result;
}

function* pieces(rows: number, columns: number): Generator<readonly [first: number, count: number]> {
  const most = Math.max(1, Math.floor(QUANTIZED_AT_ONCE / columns));
  for (let first = 0; first < rows; first += most) yield [first, Math.min(most, rows - first)];
}
