import { keep, noGrad, scope, Tensor } from "../tensor/index.js";

/** Keys and values of the tokens that one block has seen, `[batch, kvHeads, seen, headDim]`. */
export class KeyValueCache {
  #keys: Tensor | null = null;
  #values: Tensor | null = null;

  /** Tokens seen so far. */
  get length(): number {
    return this.#keys?.size(2) ?? 0;
  }

  /** Adds those of new tokens and returns all. */
  append(keys: Tensor, values: Tensor): { keys: Tensor; values: Tensor } {
    const grown = noGrad(() =>
      scope(() => ({
        keys: this.#keys === null ? keys.clone() : Tensor.cat([this.#keys, keys], 2),
        values: this.#values === null ? values.clone() : Tensor.cat([this.#values, values], 2),
      })),
    );
    this.dispose();
    this.#keys = keep(grown.keys);
    this.#values = keep(grown.values);
    return grown;
  }

  dispose(): void {
    this.#keys?.dispose();
    this.#values?.dispose();
    this.#keys = null;
    this.#values = null;
  }
}
