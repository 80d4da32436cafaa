import type { Tensor } from "../../../../tensor/index.js";
import { KeyValueCache } from "./key-value-cache.js";
import { RecurrentState } from "./recurrent-state.js";

/** What one block keeps of the tokens that it has seen, for a forward pass without gradients. */
export class BlockCache implements Disposable {
  /** Of attention. */
  readonly keysAndValues = new KeyValueCache();
  /** Of a delta net or convolution. */
  readonly state = new RecurrentState();

  /** Tokens seen so far. */
  get length(): number {
    return Math.max(this.keysAndValues.length, this.state.length);
  }

  /**
   * Lets sequences branch: row `i` of the new batch continues what row `parents[i]` (int64) has seen. Each gets room for
   * `more` tokens.
   */
  branch(parents: Tensor, more: number): void {
    this.keysAndValues.branch(parents, more);
    this.state.branch(parents);
  }

  /** Tokens that it can go back to, of the first `length`. */
  kept(length: number): number {
    return this.state.length === 0 || length >= this.state.length ? length : 0;
  }

  /** Forgets the tokens from `length` on, one of those that `kept` gives. */
  truncate(length: number): void {
    this.keysAndValues.truncate(length);
    if (length < this.state.length) this.state.dispose();
  }

  /** Forgets everything and frees its memory. */
  dispose(): void {
    this.keysAndValues.dispose();
    this.state.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
