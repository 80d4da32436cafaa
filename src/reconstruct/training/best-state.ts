import type { Parameter } from "../../quant/parameter.js";
import { keep, noGrad, scope, type Tensor } from "../../tensor/index.js";

/** Trained parameters at their lowest loss, beside them: what a failed training goes back to. */
export class BestState implements Disposable {
  #copies: readonly Tensor[];
  #loss = Number.POSITIVE_INFINITY;

  /** Takes the present state as the first. */
  constructor(private readonly parameters: readonly Parameter[]) {
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
    noGrad(() => this.parameters.forEach(({ tensor }, i) => void tensor.copy_(this.#copies[i] as Tensor)));
  }

  [Symbol.dispose](): void {
    for (const copy of this.#copies) copy.dispose();
  }

  #copy(): readonly Tensor[] {
    return noGrad(() => this.parameters.map(({ tensor }) => keep(scope(() => tensor.detach().clone()))));
  }
}
