import { keep, noGrad, scope, type Tensor } from "../../../../tensor/index.js";

interface Held {
  /** The last inputs of the convolution, `[batch, channels, kernel - 1]`. */
  readonly inputs: Tensor;
  /** What keys recall, `[batch, heads, keyDim, valueDim]`; null for a convolution alone. */
  readonly memory: Tensor | null;
}

/** What one delta net or convolution keeps of the tokens that it has seen: of one size however many they are. */
export class RecurrentState implements Disposable {
  #held: Held | null = null;
  #length = 0;

  /** Tokens seen so far. */
  get length(): number {
    return this.#length;
  }

  /** Null before the first token. */
  get held(): Held | null {
    return this.#held;
  }

  /** Takes copies of what `time` more tokens left. */
  advance(held: Held, time: number): void {
    this.#replace(held);
    this.#length += time;
  }

  /** Lets sequences branch: row `i` of the new batch continues what row `parents[i]` (int64) has seen. */
  branch(parents: Tensor): void {
    const held = this.#held;
    if (held === null) return;
    const chosen = (of: Tensor): Tensor => keep(scope(() => noGrad(() => of.indexSelect(0, parents))));
    const next = { inputs: chosen(held.inputs), memory: held.memory === null ? null : chosen(held.memory) };
    this.#free();
    this.#held = next;
  }

  #replace({ inputs, memory }: Held): void {
    const copies = noGrad(() => ({
      inputs: keep(scope(() => inputs.detach().clone())),
      memory: memory === null ? null : keep(scope(() => memory.detach().clone())),
    }));
    this.#free();
    this.#held = copies;
  }

  #free(): void {
    this.#held?.inputs.dispose();
    this.#held?.memory?.dispose();
  }

  /** Forgets everything and frees its memory. */
  dispose(): void {
    this.#free();
    this.#held = null;
    this.#length = 0;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
