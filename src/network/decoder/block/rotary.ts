import {
  callTensor,
  type Device,
  type DType,
  differentiable,
  hasKernel,
  keep,
  noGrad,
  scope,
  Tensor,
} from "../../../tensor/index.js";
import type { PositionSpec, RotaryScaling } from "../spec/decoder-spec.js";

/** Cosines and sines of the rotary angles, `[positions, headDim / 2]`: computed in fp64, held in the dtype of the products. */
export class RotaryTable implements Disposable {
  private constructor(
    readonly cos: Tensor,
    readonly sin: Tensor,
  ) {}

  /** Null for models without rotary positions. */
  static create(
    positions: PositionSpec,
    headDim: number,
    length: number,
    device: Device,
    dtype: DType = "float32",
  ): RotaryTable | null {
    if (positions.kind !== "rotary") return null;
    const frequencies = rotaryFrequencies(positions.theta, headDim, positions.scaling);
    const table = noGrad(() =>
      scope(() => {
        const angles = Tensor.arange(length, { dtype: "float64" }).outer(Tensor.from(frequencies));
        const amplitude = rotaryAmplitude(positions.scaling);
        const table = (values: Tensor): Tensor => values.mul(amplitude).to(dtype).to(device);
        return { cos: table(angles.cos()), sin: table(angles.sin()) };
      }),
    );
    return new RotaryTable(keep(table.cos), keep(table.sin));
  }

  /** Turns `x [batch, heads, time, headDim]` by its positions, the first of which is `offset`. */
  rotate(x: Tensor, offset: number): Tensor {
    const [time, half] = [x.size(2), x.size(3) / 2];
    const cos = this.cos.narrow(0, offset, time);
    const sin = this.sin.narrow(0, offset, time);
    if (hasKernel(fused, x) && cos.dtype === x.dtype) return turned(x, cos, sin);
    const [a, b] = [x.narrow(3, 0, half), x.narrow(3, half, half)];
    return Tensor.cat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], 3);
  }

  /** The mean of `R_l^T C R_l` over the first `time` positions, where `R_l` is what `rotate` does to a head; `C [..., headDim, headDim]`. */
  unrotated(form: Tensor, time: number): Tensor {
    return noGrad(() =>
      scope(() => {
        const half = form.size(-1) / 2;
        const positions = (table: Tensor): Tensor => table.narrow(0, 0, time).to("float64");
        const [cos, sin] = [positions(this.cos), positions(this.sin)];
        // Means over the positions of products of a cosine or sine of one pair with that of another, [half, half].
        const mean = (a: Tensor, b: Tensor): Tensor => a.transpose(0, 1).matmul(b).div(time);
        const [cc, cs, sc, ss] = [mean(cos, cos), mean(cos, sin), mean(sin, cos), mean(sin, sin)];
        const part = (row: number, column: number): Tensor =>
          form
            .to("float64")
            .narrow(-2, row * half, half)
            .narrow(-1, column * half, half);
        const [a, b, c, d] = [part(0, 0), part(0, 1), part(1, 0), part(1, 1)];
        const [ca, sa] = [a.mul(cc).add(d.mul(ss)), a.mul(ss).add(d.mul(cc))];
        const top = Tensor.cat(
          [ca.add(b.mul(cs)).add(c.mul(sc)), b.mul(cc).sub(c.mul(ss)).sub(a.mul(cs)).add(d.mul(sc))],
          -1,
        );
        const low = Tensor.cat(
          [c.mul(cc).sub(b.mul(ss)).sub(a.mul(sc)).add(d.mul(cs)), sa.sub(b.mul(sc)).sub(c.mul(cs))],
          -1,
        );
        return Tensor.cat([top, low], -2).to(form.dtype);
      }),
    );
  }

  dispose(): void {
    this.cos.dispose();
    this.sin.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

const fused = "crossblock::rotary";

// The gradient turns back by the same angle.
function turned(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  return differentiable(
    [x],
    () => ({ output: callTensor(fused, [x, cos, sin, 1]), saved: [cos, sin] }),
    (gradient, saved) => [callTensor(fused, [gradient, ...saved, -1])],
  );
}

/** What cosines and sines are multiplied by. */
export function rotaryAmplitude(scaling: RotaryScaling): number {
  return scaling.kind === "yarn" ? scaling.amplitude : 1;
}

/** Radians per position of each pair of a head, `headDim / 2` values. */
export function rotaryFrequencies(theta: number, headDim: number, scaling: RotaryScaling): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = theta ** ((-2 * i) / headDim);
    switch (scaling.kind) {
      case "none":
        return frequency;
      case "linear":
        return frequency / scaling.factor;
      case "llama3":
        return llama3Frequency(frequency, scaling);
      case "yarn":
        return yarnFrequency(frequency, i, theta, headDim, scaling);
    }
  });
}

// Long waves are stretched by the factor, short ones kept, those between blended by their length.
function llama3Frequency(frequency: number, scaling: Extract<RotaryScaling, { kind: "llama3" }>): number {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength > originalContext / lowFrequencyFactor) return frequency / factor;
  if (wavelength < originalContext / highFrequencyFactor) return frequency;
  const smooth = (originalContext / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

function yarnFrequency(
  frequency: number,
  pair: number,
  theta: number,
  headDim: number,
  scaling: Extract<RotaryScaling, { kind: "yarn" }>,
): number {
  const { factor, fastTurns, slowTurns, wholeDimensions, originalContext } = scaling;
  // The pair that turns so often in the original context.
  const pairOf = (turns: number): number =>
    (headDim * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [low, high] = [pairOf(fastTurns), pairOf(slowTurns)];
  const begin = Math.max(0, wholeDimensions ? Math.floor(low) : low);
  const end = Math.min(headDim - 1, wholeDimensions ? Math.ceil(high) : high);
  const stretched = Math.min(1, Math.max(0, (pair - begin) / (begin === end ? 0.001 : end - begin)));
  return (frequency / factor) * stretched + frequency * (1 - stretched);
}
