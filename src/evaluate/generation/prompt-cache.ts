import type { Decoder } from "../../network/decoder/decoder.js";
import { tokenIds } from "../../network/decoder/token-ids.js";
import type { BlockCache } from "../../network/index.js";
import { noGrad, scope } from "../../tensor/index.js";

/**
 * Keys and values of one text that a model has seen, and its tokens. A conversation's next prompt begins as the last one
 * did, with the answer behind it: only what differs is computed.
 */
export class PromptCache implements Disposable {
  readonly #caches: readonly BlockCache[];
  /** What the caches hold. */
  #ids: number[] = [];

  constructor(private readonly model: Decoder) {
    this.#caches = model.caches();
  }

  /** Tokens that it holds. */
  get length(): number {
    return this.#ids.length;
  }

  /** Keeps the beginning that it shares with a prompt, and returns the rest of the prompt: one token at least. */
  begin(prompt: Int32Array): Int32Array {
    const differs = prompt.findIndex((id, i) => id !== this.#ids[i]);
    const shared = Math.min(differs === -1 ? prompt.length : differs, prompt.length - 1);
    // A memory that is no list of tokens begins anew unless all of it is shared.
    const kept = Math.min(shared, ...this.#caches.map((cache) => cache.kept(shared)));
    for (const cache of this.#caches) cache.truncate(kept);
    this.#ids.length = kept;
    return prompt.subarray(kept);
  }

  /** Logits `[vocab]` of what follows when the model has seen these tokens too. */
  logits(ids: Int32Array): Float32Array {
    const { model } = this;
    const logits = noGrad(() =>
      scope(() =>
        model
          .logits(tokenIds(model.spec, ids, [1, ids.length], model.device), { caches: this.#caches, lastOnly: true })
          .toFloat32Array(),
      ),
    );
    this.#ids.push(...ids);
    return logits;
  }

  dispose(): void {
    for (const cache of this.#caches) cache.dispose();
    this.#ids = [];
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
