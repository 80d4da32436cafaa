import { differentiable, noGrad } from "./autograd.js";
import { callTensor, callTensors } from "./call.js";
import { dtypeCode } from "./dtype.js";
import type { Device } from "./engine/device.js";
import { hasKernel, hasOperator } from "./engine/dispatch.js";
import { engineInfo } from "./engine/engine.js";
import { scope } from "./scope.js";
import type { Tensor } from "./tensor.js";

/** The first GPUs whose matrix units take fp8. */
const LEAST_CAPABILITY = 89;
/** Sizes of an fp8 product are multiples of this. */
const UNIT = 16;

const cast = "crossblock::cast_e4m3";
const product = "aten::_scaled_mm";

/** Whether a device multiplies fp8 matrices, and this libtorch and addon know how to have it do so. */
export function hasFp8Products(device: Device): boolean {
  const capability = engineInfo().devices.find((entry) => entry.device === device)?.computeCapability ?? 0;
  return capability >= LEAST_CAPABILITY && hasOperator(product) && hasOperator(cast);
}

/** Whether a weight `[out, in]` can be multiplied in fp8. */
export function fitsFp8(weight: Tensor): boolean {
  return weight.shape.every((size) => size % UNIT === 0) && weight.dtype === "bfloat16" && hasKernel(cast, weight);
}

/** A matrix in fp8 (e4m3): its numbers are `inverse` times these. */
export interface Fp8Matrix {
  /** Bytes `[columns, rows]`. */
  readonly columns: Tensor;
  /** fp32 `[1]`. */
  readonly inverse: Tensor;
}

/** The largest magnitude of a bf16 tensor, fp32 `[1]`. */
export function magnitudeOf(x: Tensor): Tensor {
  return callTensor("crossblock::magnitude", [x]);
}

/** A bf16 matrix in fp8, scaled so that `magnitude` becomes the largest number; what is larger is cut to it. */
export function toFp8(x: Tensor, magnitude: Tensor): Fp8Matrix {
  const { columns, inverse } = castBoth(x, magnitude, false);
  return { columns, inverse };
}

/**
 * `x W^T + b` as the other products are, differentiable in `x` and `W`; the two products of its backward pass, of the
 * gradient with the weight and with the inputs, are of fp8 (e4m3) matrices, each scaled by its largest magnitude: twice
 * as fast where the numbers are many (docs/measurements/speed.md). Gradients of roundings bear it (docs/measurements/ablations.md).
 *
 * @param x bf16 `[..., in]`; where its rows are no multiple of 16 the backward pass stays in bf16
 * @param weightFp8 the weight `[out, in]` once more, in fp8
 */
export function linearWithFp8Gradients(x: Tensor, weight: Tensor, bias: Tensor | null, weightFp8: Fp8Matrix): Tensor {
  const [wanted, shape] = [x.requiresGrad, x.shape];
  return differentiable(
    [x, weight],
    () => ({ output: x.linear(weight, bias), saved: [x, weight, weightFp8.columns, weightFp8.inverse] }),
    (gradient, [input, full, columns, inverse]) => {
      const [g, inputs] = [asMatrix(gradient), asMatrix(input as Tensor)];
      if (g.size(0) % UNIT !== 0)
        return [wanted ? gradient.matmul(full as Tensor) : null, g.transpose(0, 1).matmul(inputs)];
      const outer = castBoth(g, magnitudeOf(g), wanted);
      const w = { columns: columns as Tensor, inverse: inverse as Tensor };
      return [
        wanted ? multiply({ rows: outer.rows, inverse: outer.inverse }, w).reshape(shape) : null,
        multiply({ rows: outer.columns, inverse: outer.inverse }, toFp8(inputs, magnitudeOf(inputs))),
      ];
    },
  );
}

interface Rows {
  /** Bytes `[rows, columns]`. */
  readonly rows: Tensor;
  readonly inverse: Tensor;
}

function castBoth(x: Tensor, magnitude: Tensor, rowwise: boolean): Rows & Fp8Matrix {
  const [rows, columns, inverse] = callTensors(cast, [x, magnitude, rowwise]) as [Tensor, Tensor, Tensor];
  return { rows, columns, inverse };
}

// bf16 `[a's rows, b's columns]`. The fast accumulation keeps 14 bits of a sum, more than either factor has.
function multiply(a: Rows, b: Fp8Matrix): Tensor {
  const fp8 = (bytes: Tensor): Tensor => callTensor("aten::view.dtype", [bytes, dtypeCode("float8_e4m3fn")]);
  return noGrad(() =>
    scope(() =>
      callTensor(product, [fp8(a.rows), fp8(b.columns).transpose(0, 1), a.inverse, b.inverse], {
        out_dtype: dtypeCode("bfloat16"),
        use_fast_accum: true,
      }),
    ),
  );
}

function asMatrix(x: Tensor): Tensor {
  return x.reshape([-1, x.size(-1)]);
}
