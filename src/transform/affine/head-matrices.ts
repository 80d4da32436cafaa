import type { Parameter } from "../../quant/parameter.js";
import { type Device, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { AffinePart } from "./affine-part.js";
import { bandWidth, dominantAlpha, fillBand } from "./gradual-mask.js";
import { diagonalMatrix, inverse } from "./inverse.js";

/** How a Linear takes part: which of its dimensions holds the heads, and what they are multiplied by. */
export interface HeadUse {
  readonly linear: string;
  readonly side: "rows" | "columns";
  /** `A~` or its transposed inverse. */
  readonly by: "matrix" | "inverse";
  /** Heads that lie side by side for each matrix. */
  readonly times: number;
}

export interface HeadMatricesOptions {
  readonly owner: string;
  readonly uses: readonly HeadUse[];
  /** Matrices, and how large each is. */
  readonly groups: number;
  readonly width: number;
  /** `any`, or matrices that commute with rotary positions: pairs of channels that are turned and stretched together. */
  readonly form: "any" | "pairs";
  /** What elements beside the diagonal are multiplied by; 0 keeps matrices diagonal. */
  readonly alpha: number;
  readonly device: Device;
}

const BOUNDS = [1 / 8, 8] as const;

/**
 * A matrix for each head, `A~ = diag(a) + alpha (A on the band of the epoch)`, which mixes its channels and folds exactly: values
 * and the output projection, `W_v' = A~^-T W_v`, `W_o' = W_o A~^T`; queries and keys, `W_q' = A~^-T W_q`, `W_k' = A~ W_k`.
 * Heads of queries that share keys and values share the matrix.
 * Released code gives queries and keys such a matrix before rotary positions too, which changes the scores: even scales must be the same
 * for the two channels that are turned together. So there `A~` is made of blocks `[[a, -b], [b, a]]` over these two, and nothing else.
 * Source: AffineQuant (arXiv 2403.12544), section 3.
 */
export class HeadMatrices implements AffinePart {
  readonly parameters: readonly Parameter[];
  readonly linears: readonly string[];
  readonly #diagonal: Tensor;
  /** `[groups, width, width]`, or what pairs are turned by, `[groups, width / 2]`; null where matrices stay diagonal. */
  readonly #beside: Tensor | null;
  readonly #band: Tensor;
  readonly #alpha: Tensor;

  constructor(private readonly options: HeadMatricesOptions) {
    const { owner, uses, groups, width, form, alpha, device } = options;
    const [own, beside] = form === "any" ? [width, [groups, width, width]] : [width / 2, [groups, width / 2]];
    this.#diagonal = keep(Tensor.ones([groups, own], { device })).requiresGrad_();
    this.#beside = alpha === 0 ? null : keep(Tensor.zeros(beside, { device })).requiresGrad_();
    this.#band = keep(Tensor.zeros([width, width], { device }));
    this.#alpha = keep(Tensor.full([groups, 1, 1], alpha, { device }));
    this.linears = uses.map(({ linear }) => linear);
    this.parameters = [
      { role: "affine", name: `${owner}.diagonal`, tensor: this.#diagonal, bounds: BOUNDS },
      ...(this.#beside === null ? [] : [{ role: "affine", name: `${owner}.matrix`, tensor: this.#beside } as const]),
    ];
  }

  /** `A~ [groups, width, width]`, differentiable. */
  matrices(): Tensor {
    const { main, beside } = this.#elements();
    if (beside === null) return main;
    return main.add(beside.mul(this.#band).mul(this.#dominant(main, beside)));
  }

  weight(linear: string, weight: Tensor): Tensor {
    const use = this.options.uses.find((each) => each.linear === linear);
    if (use === undefined) return weight;
    return use.side === "rows" ? this.#rows(weight, use) : this.#columns(weight, use);
  }

  bias(linear: string, bias: Tensor): Tensor {
    const use = this.options.uses.find((each) => each.linear === linear && each.side === "rows");
    return use === undefined ? bias : this.#rows(bias.unsqueeze(1), use).squeeze(1);
  }

  norm(): null {
    return null;
  }

  /** Widens the band, and keeps what matrices that are no longer dominant had to give up. */
  enterEpoch(epoch: number, epochs: number): void {
    fillBand(this.#band, bandWidth(epoch, epochs, this.options.width));
    noGrad(() =>
      scope(() => {
        const { main, beside } = this.#elements();
        if (beside !== null) this.#alpha.copy_(this.#dominant(main, beside));
      }),
    );
  }

  reset(): void {
    noGrad(() => {
      this.#diagonal.fill_(1);
      this.#beside?.zero_();
    });
  }

  dispose(): void {
    for (const tensor of [this.#diagonal, this.#beside, this.#band, this.#alpha]) tensor?.dispose();
  }

  // The diagonal, and what is beside it, unmasked.
  #elements(): { readonly main: Tensor; readonly beside: Tensor | null } {
    const [own, beside] = [this.#diagonal, this.#beside];
    if (this.options.form === "any") return { main: diagonalMatrix(own), beside };
    return { main: diagonalMatrix(Tensor.cat([own, own], 1)), beside: beside === null ? null : turns(beside) };
  }

  #dominant(main: Tensor, beside: Tensor): Tensor {
    return dominantAlpha({ matrix: main.add(beside.mul(this.#band)), band: this.#band, alpha: this.#alpha });
  }

  // `M w` for each head's rows of `[groups times width, n]`.
  #rows(weight: Tensor, { by, times }: HeadUse): Tensor {
    const { groups, width } = this.options;
    const heads = weight.reshape([groups, times, width, weight.size(1)]);
    return this.#factor(by).unsqueeze(1).matmul(heads).reshape(weight.shape);
  }

  // `w M^T` for each head's columns of `[out, groups times width]`.
  #columns(weight: Tensor, { by, times }: HeadUse): Tensor {
    const { groups, width } = this.options;
    const rows = weight.size(0);
    const heads = weight
      .reshape([rows, groups, times * width])
      .transpose(0, 1)
      .reshape([groups, rows * times, width]);
    return heads
      .matmul(this.#factor(by).transpose(1, 2))
      .reshape([groups, rows, times * width])
      .transpose(0, 1)
      .reshape(weight.shape);
  }

  #factor(by: HeadUse["by"]): Tensor {
    const matrices = this.matrices();
    return by === "matrix" ? matrices : inverse(matrices).transpose(1, 2);
  }
}

// `[[0, -diag(b)], [diag(b), 0]]` of `b [groups, half]`.
function turns(angles: Tensor): Tensor {
  const turn = diagonalMatrix(angles);
  const none = Tensor.zeros(turn.shape, { device: turn.device });
  return Tensor.cat([Tensor.cat([none, turn.neg()], 2), Tensor.cat([turn, none], 2)], 1);
}
