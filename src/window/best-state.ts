import { keep, noGrad, scope, type Tensor } from "../tensor/index.js";
import type { QuantizedLayer } from "./quantized-layer.js";

/** The learnt parameters of layers at their lowest loss, beside them: what a failed training goes back to. */
export class BestState implements Disposable {
  readonly #parameters: readonly Tensor[];
  #copies: readonly Tensor[];
  #loss = Number.POSITIVE_INFINITY;

  /** Takes the present state as the first. */
  constructor(layers: readonly QuantizedLayer[]) {
    this.#parameters = layers.flatMap((layer) => layer.learnt);
    this.#copies = this.#copy();
  }

  /** Takes the present state over when its loss is the lowest so far. */
  offer(loss: number): void {
    if (!(loss < this.#loss)) return;
    this.#loss = loss;
    this[Symbol.dispose]();
    this.#copies = this.#copy();
  }

  /** Puts the best state back. */
  restore(): void {
    noGrad(() => this.#parameters.forEach((parameter, i) => void parameter.copy_(this.#copies[i] as Tensor)));
  }

  [Symbol.dispose](): void {
    for (const copy of this.#copies) copy.dispose();
  }

  #copy(): readonly Tensor[] {
    return noGrad(() => this.#parameters.map((parameter) => keep(scope(() => parameter.detach().clone()))));
  }
}
