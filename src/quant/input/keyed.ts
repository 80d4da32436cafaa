import { type Ports, portOf } from "../../calibration/port-store.js";
import { differentiable, keep, scope, Tensor } from "../../tensor/index.js";
import type { Parameter } from "../parameter.js";
import { levels } from "../scheme.js";
import type { ActivationQuantizer } from "./activation.js";
import { type KeyedGrid, unknownKey } from "./keyed-grid.js";

/**
 * Per tensor, static, one range for each time step: what flows through a diffusion network changes with the step far more than
 * with the image, and a range for all steps fits none. The steps of a sampler are few and known, so their ranges are a table.
 * Source: TFMQ-DM (arXiv 2311.16503), section 4.3, finite set calibration; released code gives every quantized input such a
 * table, where the paper's text speaks of the temporal block alone.
 *
 * Tables are looked up by the time step itself. Indexed by the number of the sampler's step, as in released code, they would
 * silently be wrong for any other choice of steps.
 */
export class KeyedQuantizer implements ActivationQuantizer {
  readonly parameters: readonly Parameter[] = [];
  readonly #keys: Tensor;
  readonly #scales: Tensor;
  readonly #zeroPoints: Tensor;

  constructor(
    readonly grid: KeyedGrid,
    device: Tensor["device"],
  ) {
    const table = (values: readonly number[]): Tensor =>
      keep(scope(() => Tensor.from(Float32Array.from(values), [values.length]).to(device)));
    this.#keys = table(grid.keys);
    this.#scales = table(grid.scales);
    this.#zeroPoints = table(grid.zeroPoints);
  }

  /**
   * @param x `[batch, ...]`, or `[batch * n, ...]` with the rows of an example side by side
   * @param ports what the unit was given, the input with the keys among it
   * @throws CalibrationError on the CPU for a value that is no key; elsewhere, where nobody waits to look at values, what it
   * gives is not a number
   */
  apply(x: Tensor, ports: Ports = {}): Tensor {
    const top = levels(this.grid.bits) - 1;
    return differentiable(
      [x],
      () => {
        const { scale, zeroPoint } = this.#rows(x, portOf(ports, this.grid.input));
        // Rounded before the zero point is added, as ONNX does.
        const units = x.detach().to("float32").div(scale).round_();
        const codes = units.add_(zeroPoint).clamp_(0, top);
        return { output: codes.sub_(zeroPoint).mul_(scale).to(x.dtype), saved: [x, scale, zeroPoint] };
      },
      (gradient, saved) => {
        const place = placeOf(...(saved as [Tensor, Tensor, Tensor]));
        return [gradient.mul(place.gt(0).logicalAnd(place.lt(top)))];
      },
    );
  }

  /** What a run stores is the table: `grid`. */
  value(): number {
    throw new TypeError("an input with a range for each step has no single one");
  }

  dispose(): void {
    for (const table of [this.#keys, this.#scales, this.#zeroPoints]) table.dispose();
  }

  // Scale and zero point of each row of x, `[rows, 1, ...]`.
  #rows(x: Tensor, values: Tensor): { readonly scale: Tensor; readonly zeroPoint: Tensor } {
    const { unknown } = this.grid;
    const value = values.detach().to("float32").reshape([-1, 1]);
    const [examples, rows] = [value.size(0), x.size(0)];
    const distance = value.sub(this.#keys.reshape([1, -1])).abs();
    const at = distance.neg().argmax(1);
    const each = (found: Tensor): Tensor =>
      found
        .reshape([-1, 1])
        .expand([examples, rows / examples])
        .reshape([rows, ...x.shape.slice(1).map(() => 1)]);
    const zeroPoint = each(this.#zeroPoints.indexSelect(0, at));
    const scales = this.#scales.indexSelect(0, at);
    if (unknown === "nearest") return { scale: each(scales), zeroPoint };
    const known = distance.amin(1).eq(0);
    if (x.device === "cpu") this.#refuseUnknown(value, known);
    // An infinite scale makes what is no number of any input.
    return { scale: each(scales.div(known.to("float32"))), zeroPoint };
  }

  #refuseUnknown(value: Tensor, known: Tensor): void {
    const wrong = known.to("float32").toFloat32Array().indexOf(0);
    if (wrong < 0) return;
    throw unknownKey(this.grid.input, this.grid.keys, value.toFloat32Array()[wrong] ?? Number.NaN);
  }
}

function placeOf(x: Tensor, scale: Tensor, zeroPoint: Tensor): Tensor {
  return x.to("float32").div(scale).add(zeroPoint);
}
