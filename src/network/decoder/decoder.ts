import { type Device, noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { TensorSource } from "../owned-weights.js";
import type { Hooks } from "../unit.js";
import { loadUnit, type OwnedUnitWeights, type UnitWeights } from "../unit-weights.js";
import { BlockCache } from "./block/cache/block-cache.js";
import { forwardBlock } from "./block/forward-block.js";
import { normalise } from "./block/normalise.js";
import { RotaryTables } from "./block/rotary/rotary-tables.js";
import { decoderUnits } from "./decoder-units.js";
import { blockOf, type DecoderSpec } from "./spec/decoder-spec.js";
import { requireContext } from "./token-ids.js";
import { type EmbeddingWeights, type HeadWeights, loadOuter, type OuterWeights } from "./weights.js";

/** How one block's Linears are computed; undefined for the plain product. */
export type BlockLinear = (block: number) => Hooks["product"];

/** Embeds token ids `[batch, time]` (int64), the first of which is at position `offset`: `[batch, time, hidden]`. */
export function embed(spec: DecoderSpec, weights: EmbeddingWeights, ids: Tensor, offset = 0): Tensor {
  const { multiplier, positions, norm } = spec.embedding;
  const tokens = weights.embedding.embedding(ids);
  const scaled = multiplier === 1 ? tokens : tokens.mul(multiplier);
  const embedded =
    weights.positions === null || positions === null
      ? scaled
      : scaled.add(weights.positions.narrow(0, positions.offset + offset, ids.size(1)));
  return norm === null ? embedded : normalise(embedded, weights.embeddingNorm, norm);
}

/** Final norm and head of some network: logits `[rows, vocab]` of hidden states `[rows, width]`. */
export type Head = (hidden: Tensor) => Tensor;

/** Final norm and head: logits `[..., vocab]` of hidden states `[..., hidden]`. */
export function applyHead(spec: DecoderSpec, weights: HeadWeights, x: Tensor): Tensor {
  const { multiplier, softcap } = spec.head;
  const products = normalise(x, weights.finalNorm, spec.finalNorm).linear(weights.head, weights.headBias);
  const logits = multiplier === 1 ? products : products.mul(multiplier);
  return softcap === null ? logits : logits.div(softcap).tanh().mul(softcap);
}

/** A whole network in memory, for evaluation and generation. */
export class Decoder {
  private constructor(
    readonly spec: DecoderSpec,
    readonly outer: OuterWeights,
    readonly blocks: readonly OwnedUnitWeights[],
    private readonly rotary: RotaryTables,
    private readonly linear: BlockLinear,
  ) {}

  /**
   * Loads every tensor. `linear` replaces the products of a block's Linears, as activation quantization does.
   *
   * @throws CheckpointError naming the tensor that is missing, has another shape, or holds NaN or Inf
   */
  static load(source: TensorSource, spec: DecoderSpec, linear: BlockLinear = () => undefined): Decoder {
    const outer = loadOuter(source, spec);
    const blocks: OwnedUnitWeights[] = [];
    try {
      for (const unit of decoderUnits(spec)) blocks.push(loadUnit(source, unit));
    } catch (error) {
      outer.dispose();
      for (const block of blocks) block.dispose();
      throw error;
    }
    const { device, dtype } = outer.embedding;
    const rotary = RotaryTables.create(spec, spec.maxPositions, device, dtype);
    return new Decoder(spec, outer, blocks, rotary, linear);
  }

  /** Where it computes. */
  get device(): Device {
    return this.outer.embedding.device;
  }

  /**
   * Hidden states `[batch, time, hidden]` after the last block, before the final norm, of token ids `[batch, time]`
   * (int64; `tokenIds` checks and makes them).
   *
   * @throws CalibrationError when the sequence, with what the caches hold, is longer than the model was made for
   */
  hidden(ids: Tensor, caches?: readonly BlockCache[]): Tensor {
    const offset = caches?.[0]?.length ?? 0;
    requireContext(this.spec, offset + ids.size(1));
    return noGrad(() =>
      scope(() => {
        let x = embed(this.spec, this.outer, ids, offset);
        this.blocks.forEach((block, k) => {
          const input = x;
          x = this.#through(block, k, input, caches?.[k]);
          // A long network would hold the streams of all its blocks otherwise.
          input.dispose();
        });
        return x;
      }),
    );
  }

  /**
   * Hidden states, as `hidden` gives them, of several continuations of a context, which is computed once however many
   * follow it. Keys and values of one block are held at a time.
   *
   * @param contexts token ids `[contexts, time]` (int64)
   * @param branches token ids `[rows, length]` (int64) after the contexts; shorter ones padded at their end
   * @param parents the context of every row, `[rows]` (int64)
   * @throws CalibrationError when both together are longer than the model was made for
   */
  hiddenOfBranches(contexts: Tensor, branches: Tensor, parents: Tensor): { contexts: Tensor; branches: Tensor } {
    const [time, length] = [contexts.size(1), branches.size(1)];
    requireContext(this.spec, time + length);
    return noGrad(() =>
      scope(() => {
        let x = embed(this.spec, this.outer, contexts);
        let y = embed(this.spec, this.outer, branches, time);
        this.blocks.forEach((block, k) => {
          using cache = new BlockCache();
          const [before, after] = [x, y];
          x = this.#through(block, k, before, cache);
          cache.branch(parents, length);
          y = this.#through(block, k, after, cache);
          before.dispose();
          after.dispose();
        });
        return { contexts: x, branches: y };
      }),
    );
  }

  #through(block: UnitWeights, k: number, x: Tensor, cache: BlockCache | undefined): Tensor {
    const product = this.linear(k);
    return scope(() =>
      forwardBlock(blockOf(this.spec, k), block, x, {
        rotary: this.rotary,
        ...(cache !== undefined && { cache }),
        ...(product !== undefined && { product }),
      }),
    );
  }

  /** Logits `[batch, time, vocab]` of token ids `[batch, time]` (int64), or those of the last token only. */
  logits(ids: Tensor, options: { readonly caches?: readonly BlockCache[]; readonly lastOnly?: boolean } = {}): Tensor {
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

  /** Empty caches, one per block, that fill as `hidden` or `logits` run with them. The caller disposes them. */
  caches(): BlockCache[] {
    return this.blocks.map(() => new BlockCache());
  }

  dispose(): void {
    this.outer.dispose();
    this.rotary.dispose();
    for (const block of this.blocks) block.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
