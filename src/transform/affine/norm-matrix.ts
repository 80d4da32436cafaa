import type { Parameter } from "../../quant/parameter.js";
import { type Device, type DType, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { AffinePart } from "./affine-part.js";
import { asStored } from "./channel-scales.js";
import { bandWidth, dominantAlpha, fillBand } from "./gradual-mask.js";
import { diagonalMatrix, inverse } from "./inverse.js";

export interface NormMatrixOptions {
  readonly owner: string;
  /** Name of the norm in its unit. */
  readonly norm: string;
  /** Linears that read what the norm gives, all of them. */
  readonly consumers: readonly string[];
  readonly width: number;
  /** What elements beside the diagonal are multiplied by; above 0. */
  readonly alpha: number;
  /** Dtype in which the matrix is stored. */
  readonly storedType: DType;
  readonly device: Device;
}

/**
 * A matrix behind a norm that mixes its channels, `A~ = I + alpha (A on the band of the epoch)`: `x' = A~ x`, `W' = W A~^-1`. It has no
 * place in the norm, whose gains see single channels, and stays a product of its own, hidden size squared for every token. The
 * diagonal is `ChannelScales`'s, which folds into the gains.
 * The paper has the masked matrix in the weights and its inverse behind the norm. Here it is the other way round, so that weights
 * make up exactly for how the one that is stored was rounded.
 * Source: AffineQuant (arXiv 2403.12544), section 3.
 */
export class NormMatrix implements AffinePart {
  readonly parameters: readonly Parameter[];
  readonly linears: readonly string[];
  /** `[1, width, width]`; its own diagonal is left alone. */
  readonly #beside: Tensor;
  readonly #main: Tensor;
  readonly #band: Tensor;
  readonly #alpha: Tensor;

  constructor(private readonly options: NormMatrixOptions) {
    const { owner, consumers, width, alpha, device } = options;
    this.#beside = keep(Tensor.zeros([1, width, width], { device })).requiresGrad_();
    this.#main = keep(scope(() => diagonalMatrix(Tensor.ones([1, width], { device }))));
    this.#band = keep(Tensor.zeros([width, width], { device }));
    this.#alpha = keep(Tensor.full([1, 1, 1], alpha, { device }));
    this.linears = consumers;
    this.parameters = [{ role: "affine", name: `${owner}.mixing`, tensor: this.#beside }];
  }

  /** `A~ [1, width, width]` as it is stored, differentiable. */
  matrices(): Tensor {
    const masked = this.#beside.mul(this.#band).mul(this.#dominant());
    return asStored(this.#main.add(masked), this.options.storedType);
  }

  weight(linear: string, weight: Tensor): Tensor {
    if (!this.linears.includes(linear)) return weight;
    return weight.matmul(inverse(this.matrices()).squeeze(0));
  }

  bias(_linear: string, bias: Tensor): Tensor {
    return bias;
  }

  norm(): null {
    return null;
  }

  matrix(): ReturnType<NonNullable<AffinePart["matrix"]>> {
    return { norm: this.options.norm, matrix: this.matrices().squeeze(0) };
  }

  /** Widens the band, and keeps what a matrix that is no longer dominant had to give up. */
  enterEpoch(epoch: number, epochs: number): void {
    fillBand(this.#band, bandWidth(epoch, epochs, this.options.width));
    noGrad(() => scope(() => void this.#alpha.copy_(this.#dominant())));
  }

  reset(): void {
    noGrad(() => void this.#beside.zero_());
  }

  dispose(): void {
    for (const tensor of [this.#beside, this.#main, this.#band, this.#alpha]) tensor.dispose();
  }

  #dominant(): Tensor {
    return noGrad(() => {
      const matrix = this.#main.add(this.#beside.mul(this.#band));
      return dominantAlpha({ matrix, band: this.#band, alpha: this.#alpha });
    });
  }
}
