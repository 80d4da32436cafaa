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
} from "../../../../tensor/index.js";
import type { RotarySpec } from "../../spec/decoder-spec.js";
import { rotaryAmplitude, rotaryFrequencies } from "./rotary-frequencies.js";

interface Angles {
  /** `[positions, headDim / 2]`, in the dtype of the products. */
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Cosines and sines of the rotary angles of one kind of attention, computed in fp64. Channels that do not turn are pairs with an
 * angle of zero, and other pairings are another order of the channels, so that all that follows knows one form: the
 * first half of a head turns with the second.
 */
export class RotaryTable implements Disposable {
  private constructor(
    private readonly near: Angles,
    /** Those of sequences longer than `from`. */
    private readonly beyond: (Angles & { readonly from: number }) | null,
    /** Where the channels of a head go, and back, int64 `[headDim]`; null where they stay. */
    private readonly order: { readonly to: Tensor; readonly back: Tensor } | null,
  ) {}

  /** The table of so many positions of heads `headDim` wide. */
  static create(
    rotary: RotarySpec,
    headDim: number,
    length: number,
    device: Device,
    dtype: DType = "float32",
  ): RotaryTable {
    const angles = (beyond: boolean): Angles => {
      const turning = rotaryFrequencies(rotary, beyond);
      const amplitude = rotaryAmplitude(rotary.scaling, beyond);
      const table = noGrad(() =>
        scope(() => {
          const all = Tensor.arange(length, { dtype: "float64" }).outer(Tensor.from(turning));
          const still = headDim / 2 - turning.length;
          const table = (values: Tensor, rest: number): Tensor => {
            const scaled = values.mul(amplitude);
            const whole =
              still === 0 ? scaled : Tensor.cat([scaled, Tensor.full([length, still], rest, { dtype: "float64" })], 1);
            return whole.to(dtype).to(device);
          };
          return { cos: table(all.cos(), 1), sin: table(all.sin(), 0) };
        }),
      );
      return { cos: keep(table.cos), sin: keep(table.sin) };
    };
    const { scaling } = rotary;
    const far = scaling.kind === "longrope" && length > scaling.originalContext;
    const order = channelOrder(rotary, headDim);
    const indices = (of: Int32Array): Tensor => keep(scope(() => Tensor.from(of).to("int64").to(device)));
    return new RotaryTable(
      angles(false),
      far ? { ...angles(true), from: scaling.originalContext } : null,
      order === null ? null : { to: indices(order), back: indices(inverse(order)) },
    );
  }

  /** Turns `x [batch, heads, time, headDim]` by its positions, the first of which is `offset`. */
  rotate(x: Tensor, offset: number): Tensor {
    if (this.order === null) return this.#turn(x, offset);
    return this.#turn(x.indexSelect(3, this.order.to), offset).indexSelect(3, this.order.back);
  }

  #turn(x: Tensor, offset: number): Tensor {
    const [time, half] = [x.size(2), x.size(3) / 2];
    const table = this.#angles(offset + time);
    const cos = table.cos.narrow(0, offset, time);
    const sin = table.sin.narrow(0, offset, time);
    if (hasKernel(fused, x) && cos.dtype === x.dtype) return turned(x, cos, sin);
    const [a, b] = [x.narrow(3, 0, half), x.narrow(3, half, half)];
    return Tensor.cat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], 3);
  }

  #angles(length: number): Angles {
    return this.beyond !== null && length > this.beyond.from ? this.beyond : this.near;
  }

  /** The mean of `R_l^T C R_l` over the first `time` positions, where `R_l` is what `rotate` does to a head; `C [..., headDim, headDim]`. */
  unrotated(form: Tensor, time: number): Tensor {
    const { order } = this;
    if (order === null) return this.#unturned(form, time);
    const along = (indices: Tensor, of: Tensor): Tensor => of.indexSelect(-2, indices).indexSelect(-1, indices);
    return noGrad(() => scope(() => along(order.back, this.#unturned(along(order.to, form), time))));
  }

  #unturned(form: Tensor, time: number): Tensor {
    return noGrad(() =>
      scope(() => {
        const half = form.size(-1) / 2;
        const table = this.#angles(time);
        const positions = (of: Tensor): Tensor => of.narrow(0, 0, time).to("float64");
        const [cos, sin] = [positions(table.cos), positions(table.sin)];
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
    for (const { cos, sin } of [this.near, ...(this.beyond === null ? [] : [this.beyond])]) {
      cos.dispose();
      sin.dispose();
    }
    this.order?.to.dispose();
    this.order?.back.dispose();
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

/** Entry `i` is the channel of a head that stands at place `i` where halves turn with each other; null where all do already. */
function channelOrder({ width, pairs }: RotarySpec, headDim: number): Int32Array | null {
  if (pairs === "halves" && width === headDim) return null;
  const half = headDim / 2;
  return Int32Array.from({ length: headDim }, (_, place) => {
    const [pair, second] = [place % half, place >= half];
    // Pairs behind the turning ones hold the channels that stay.
    if (pair >= width / 2) return width + 2 * (pair - width / 2) + (second ? 1 : 0);
    return pairs === "neighbours" ? 2 * pair + (second ? 1 : 0) : pair + (second ? width / 2 : 0);
  });
}

function inverse(order: Int32Array): Int32Array {
  const back = new Int32Array(order.length);
  for (const [place, channel] of order.entries()) back[channel] = place;
  return back;
}
