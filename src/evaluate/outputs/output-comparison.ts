import { noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { OutputKind } from "./output-kind.js";

/** How far outputs are from those of a reference. */
export interface OutputDistance {
  /** `|y - y'|^2 / |y|^2` over all examples, `y` the reference's. */
  readonly relativeError: number;
  /** Share of examples whose largest output is the same one; null where outputs are no classes. */
  readonly agreement: number | null;
  /** Mean Kullback-Leibler divergence from the reference's distribution over the classes, in nats an example; null likewise. */
  readonly divergence: number | null;
}

/** Below this a probability is none: its logarithm would be infinite. */
const LEAST = 1e-30;

/** Adds up how far the outputs of a network are from a reference's, batch by batch; in float64. */
export class OutputComparison {
  #count = 0;
  #error = 0;
  #square = 0;
  #same = 0;
  #divergence = 0;

  constructor(private readonly kind: OutputKind) {}

  /** Takes the outputs of the same examples, `[examples, ...]`. */
  add(outputs: Tensor, reference: Tensor): void {
    const [examples = 0] = outputs.shape;
    noGrad(() =>
      scope(() => {
        const [ours, theirs] = [outputs, reference].map((y) => y.to("float64").reshape([examples, -1])) as [
          Tensor,
          Tensor,
        ];
        this.#count += examples;
        this.#error += ours.sub(theirs).square().sum().item();
        this.#square += theirs.square().sum().item();
        if (this.kind === "values") return;
        this.#same += ours.argmax(-1).eq(theirs.argmax(-1)).to("float64").sum().item();
        const [own, other] = [this.#logarithms(ours), this.#logarithms(theirs)];
        this.#divergence += other.exp().mul(other.sub(own)).sum().item();
      }),
    );
  }

  get distance(): OutputDistance {
    const classes = this.kind !== "values";
    return {
      relativeError: this.#error / Math.max(this.#square, Number.MIN_VALUE),
      agreement: classes ? this.#same / this.#count : null,
      divergence: classes ? this.#divergence / this.#count : null,
    };
  }

  /** Whether every number was finite. */
  get isFinite(): boolean {
    return [this.#error, this.#square, this.#divergence].every(Number.isFinite);
  }

  #logarithms(y: Tensor): Tensor {
    return this.kind === "probabilities" ? y.clamp(LEAST, null).log() : y.logSoftmax(-1);
  }
}
