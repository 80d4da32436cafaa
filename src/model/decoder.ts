import { type Device, noGrad, scope, type Tensor } from "../tensor/index.js";
import type { DecoderSpec } from "./decoder-spec.js";
import { forwardBlock, type LinearApply } from "./forward-block.js";
import { KeyValueCache } from "./key-value-cache.js";
import { normalise } from "./normalise.js";
import { RotaryTable } from "./rotary.js";
import { type BlockWeights, loadBlock, loadOuter, type OuterWeights, type TensorSource } from "./weights.js";

/** How one block's Linears are computed; null for the plain product. */
export type BlockLinear = (block: number) => LinearApply | undefined;

/** Embeds token ids `[batch, time]` (int64): `[batch, time, hidden]`. */
export function embed(spec: DecoderSpec, outer: OuterWeights, ids: Tensor, offset = 0): Tensor {
  const embedded = outer.embedding.embedding(ids);
  if (outer.positions === null || spec.positions.kind !== "learned") return embedded;
  return embedded.add(outer.positions.narrow(0, spec.positions.offset + offset, ids.size(1)));
}

/** Final norm and head: logits `[..., vocab]` of hidden states `[..., hidden]`. */
export function applyHead(spec: DecoderSpec, outer: OuterWeights, x: Tensor): Tensor {
  return normalise(x, outer.finalNorm, spec.norm).linear(outer.head);
}

/** A whole network in memory, for evaluation and generation. */
export class Decoder {
  readonly #caches = new Set<KeyValueCache[]>();

  private constructor(
    readonly spec: DecoderSpec,
    readonly outer: OuterWeights,
    readonly blocks: readonly BlockWeights[],
    private readonly rotary: RotaryTable | null,
    private readonly linear: BlockLinear,
  ) {}

  /** Loads every tensor. `linear` replaces the products of a block's Linears, as activation quantization does. */
  static load(source: TensorSource, spec: DecoderSpec, linear: BlockLinear = () => undefined): Decoder {
    const outer = loadOuter(source, spec);
    const blocks: BlockWeights[] = [];
    try {
      for (let k = 0; k < spec.blocks; k++) blocks.push(loadBlock(source, spec, k));
    } catch (error) {
      outer.dispose();
      for (const block of blocks) block.dispose();
      throw error;
    }
    const { device, dtype } = outer.embedding;
    const rotary = RotaryTable.create(spec.positions, spec.attention.headDim, spec.maxPositions, device, dtype);
    return new Decoder(spec, outer, blocks, rotary, linear);
  }

  /** Where it computes. */
  get device(): Device {
    return this.outer.embedding.device;
  }

  /** Hidden states after the last block, before the final norm. */
  hidden(ids: Tensor, caches?: readonly KeyValueCache[]): Tensor {
    return noGrad(() =>
      scope(() => {
        let x = embed(this.spec, this.outer, ids, caches?.[0]?.length ?? 0);
        for (let k = 0; k < this.blocks.length; k++) {
          const cache = caches?.[k];
          const linear = this.linear(k);
          x = scope(() =>
            forwardBlock(this.spec, this.blocks[k] as BlockWeights, x, {
              rotary: this.rotary,
              ...(cache === undefined ? {} : { cache }),
              ...(linear === undefined ? {} : { linear }),
            }),
          );
        }
        return x;
      }),
    );
  }

  /** Logits `[batch, time, vocab]` of token ids `[batch, time]` (int64), or those of the last token only. */
  logits(
    ids: Tensor,
    options: { readonly caches?: readonly KeyValueCache[]; readonly lastOnly?: boolean } = {},
  ): Tensor {
    return noGrad(() =>
      scope(() => {
        const x = this.hidden(ids, options.caches);
        return this.head(options.lastOnly === true ? x.narrow(1, x.size(1) - 1, 1) : x);
      }),
    );
  }

  /** Final norm and head. */
  head(x: Tensor): Tensor {
    return applyHead(this.spec, this.outer, x);
  }

  /** Empty caches, one per block. */
  caches(): KeyValueCache[] {
    const caches = this.blocks.map(() => new KeyValueCache());
    this.#caches.add(caches);
    return caches;
  }

  dispose(): void {
    this.outer.dispose();
    this.rotary?.dispose();
    for (const block of this.blocks) block.dispose();
    for (const caches of this.#caches) for (const cache of caches) cache.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
