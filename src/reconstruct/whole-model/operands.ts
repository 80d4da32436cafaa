import { backward, type DType, keep, scope, type Tensor } from "../../tensor/index.js";

/**
 * What the products of a step take in place of fp32 weights: leaves in a dtype of their own, which collect gradients of any
 * number of micro-batches, and hand their sum to the weights once.
 */
export class Operands {
  #made = new Map<string, { readonly soft: Tensor; readonly operand: Tensor }>();

  /** Makes them from weights as they are. */
  prepare(weights: ReadonlyMap<string, Tensor>, typeOf: (name: string) => DType): void {
    this.release();
    for (const [name, tensor] of weights) {
      const soft = keep(tensor.to(typeOf(name)));
      this.#made.set(name, { soft, operand: keep(soft.detach()).requiresGrad_() });
    }
  }

  /** The operand of a weight, which stays this one's. */
  get(name: string): Tensor {
    const made = this.#made.get(name);
    if (made === undefined) throw new TypeError(`${name} has no operand: prepare() makes those of a step`);
    return made.operand;
  }

  /** Carries the gradients that they collected to the weights. */
  finish(): void {
    scope(() => {
      const collected = [...this.#made.values()].flatMap(({ soft, operand }) => {
        const gradient = operand.grad;
        return gradient === null ? [] : [{ soft, gradient }];
      });
      backward(
        collected.map(({ soft }) => soft),
        collected.map(({ gradient }) => gradient),
      );
    });
  }

  release(): void {
    for (const { soft, operand } of this.#made.values()) {
      soft.dispose();
      operand.dispose();
    }
    this.#made = new Map();
  }
}
