import { type Device, keep, noGrad, scope, Tensor } from "../tensor/index.js";

/** Sums of `x x^T` over the inputs of one or several Linears: what GPTQ and weighted ranges need. */
export class SecondMoments {
  /** fp32 `[in, in]`. */
  readonly matrix: Tensor;
  #tokens = 0;

  constructor(columns: number, device: Device) {
    this.matrix = keep(Tensor.zeros([columns, columns], { device }));
  }

  /** Tokens added so far. */
  get tokens(): number {
    return this.#tokens;
  }

  /** Adds inputs `[..., in]`. */
  add(inputs: Tensor): void {
    noGrad(() =>
      scope(() => {
        const columns = inputs.size(-1);
        const x = inputs
          .detach()
          .to("float32")
          .reshape([inputs.numel / columns, columns]);
        this.matrix.addmm_(x.transpose(0, 1), x);
        this.#tokens += x.size(0);
      }),
    );
  }

  /** Adds what another one holds. */
  merge(other: SecondMoments): void {
    noGrad(() => void this.matrix.add_(other.matrix));
    this.#tokens += other.tokens;
  }

  /** Mean square of each input column over the mean of all, fp32 `[in]`. */
  columnWeights(): Tensor {
    const squares = this.matrix.diagonal();
    return squares.div(squares.mean().clamp(1e-30));
  }

  dispose(): void {
    this.matrix.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
