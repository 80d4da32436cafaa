import { keep, noGrad, scope, Tensor } from "../../../../tensor/index.js";

interface Room {
  /** `[batch, kvHeads, capacity, headDim]` */
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Positions that a cache has room for at first. */
const firstCapacity = 64;

/**
 * Keys and values of the tokens that one block has seen, for a forward pass without gradients. Its room doubles when it
 * is full, so a token costs the copy of itself, not of all before it.
 */
export class KeyValueCache implements Disposable {
  #room: Room | null = null;
  #length = 0;

  /** Tokens seen so far. */
  get length(): number {
    return this.#length;
  }

  /**
   * Adds those of new tokens, `[batch, kvHeads, time, headDim]`, and returns all, `[batch, kvHeads, seen, headDim]`: as
   * views of the cache, which the caller's scope frees.
   */
  append(keys: Tensor, values: Tensor): { keys: Tensor; values: Tensor } {
    const time = keys.size(2);
    const seen = this.#length + time;
    const room = this.#roomFor(seen, keys, values);
    noGrad(() =>
      scope(() => {
        room.keys.narrow(2, this.#length, time).copy_(keys);
        room.values.narrow(2, this.#length, time).copy_(values);
      }),
    );
    this.#length = seen;
    return { keys: room.keys.narrow(2, 0, seen), values: room.values.narrow(2, 0, seen) };
  }

  /**
   * Lets sequences branch: row `i` of the new batch continues what row `parents[i]` (int64) has seen. Each gets room for
   * `more` tokens.
   */
  branch(parents: Tensor, more: number): void {
    const old = this.#room;
    if (old === null) return;
    const room = noGrad(() => ({
      keys: keep(branched(old.keys, this.#length, parents, more)),
      values: keep(branched(old.values, this.#length, parents, more)),
    }));
    old.keys.dispose();
    old.values.dispose();
    this.#room = room;
  }

  /** Forgets the tokens from `length` on; its room stays. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
  }

  #roomFor(seen: number, keys: Tensor, values: Tensor): Room {
    const old = this.#room;
    const capacity = old?.keys.size(2) ?? 0;
    if (old !== null && seen <= capacity) return old;
    const grown = Math.max(seen, 2 * capacity, firstCapacity);
    const enlarged = (like: Tensor, filled: Tensor | undefined): Tensor =>
      scope(() => {
        const [batch = 0, heads = 0, , width = 0] = like.shape;
        const store = Tensor.empty([batch, heads, grown, width], { dtype: like.dtype, device: like.device });
        if (filled !== undefined) store.narrow(2, 0, this.#length).copy_(filled.narrow(2, 0, this.#length));
        return store;
      });
    const room = noGrad(() => ({
      keys: keep(enlarged(keys, old?.keys)),
      values: keep(enlarged(values, old?.values)),
    }));
    old?.keys.dispose();
    old?.values.dispose();
    this.#room = room;
    return room;
  }

  /** Forgets everything and frees its memory. */
  dispose(): void {
    this.#room?.keys.dispose();
    this.#room?.values.dispose();
    this.#room = null;
    this.#length = 0;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function branched(store: Tensor, length: number, parents: Tensor, more: number): Tensor {
  return scope(() => {
    const [, heads = 0, , width = 0] = store.shape;
    const { dtype, device } = store;
    const copy = Tensor.empty([parents.size(0), heads, length + more, width], { dtype, device });
    copy.narrow(2, 0, length).copy_(store.narrow(2, 0, length).indexSelect(0, parents));
    return copy;
  });
}
