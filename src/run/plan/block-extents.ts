import {
  type BlockSpec,
  type DecoderSpec,
  decoderUnits,
  firstConsumer,
  layerOf,
  type MlpSpec,
  readersOf,
  type UnitPlan,
} from "../../network/index.js";

/** What memory and time of a block depend on beside its Linears, in numbers for each token. */
export interface BlockExtent {
  readonly heads: number;
  /** Heads of keys and values. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Tokens that a token sees; null for all before it. */
  readonly slidingWindow: number | null;
  /** What an MLP keeps of what it computes inside. */
  readonly inner: number;
  /** Channels inside the MLP. */
  readonly intermediate: number;
  /** Widths of the inputs that its Linears read, one for each site. */
  readonly inputs: readonly number[];
  /** Numbers in the second moments of each of these inputs: a square, of a stack of experts one for each. */
  readonly moments: readonly number[];
  /** Widths of the inputs of all its Linears. */
  readonly columns: readonly number[];
}

// A plan asks for them dozens of times, and a budget of memory for dozens of plans.
const known = new WeakMap<DecoderSpec, readonly BlockExtent[]>();

/** Those of every block, in order. */
export function blockExtents(spec: DecoderSpec): readonly BlockExtent[] {
  const found = known.get(spec) ?? decoderUnits(spec).map((unit, at) => extentOf(spec.blocks[at] as BlockSpec, unit));
  known.set(spec, found);
  return found;
}

/** The most of any block. */
export function mostOfBlocks(spec: DecoderSpec, of: (extent: BlockExtent) => number): number {
  return Math.max(0, ...blockExtents(spec).map(of));
}

/** The mean over the blocks. */
export function meanOfBlocks(spec: DecoderSpec, of: (extent: BlockExtent) => number): number {
  return blockExtents(spec).reduce((sum, extent) => sum + of(extent), 0) / Math.max(1, spec.blocks.length);
}

function extentOf({ attention, mlp }: BlockSpec, unit: UnitPlan): BlockExtent {
  return {
    ...heads(attention),
    ...mlpExtent(mlp),
    inputs: unit.sites.map((site) => layerOf(unit, firstConsumer(site)).columns),
    moments: unit.sites.map((site) =>
      readersOf(unit, site).reduce((sum, [first = ""]) => {
        const { columns, experts = 1 } = layerOf(unit, first);
        return sum + experts * columns ** 2;
      }, 0),
    ),
    columns: unit.layers.map(({ columns }) => columns),
  };
}

function mlpExtent(mlp: MlpSpec): Pick<BlockExtent, "inner" | "intermediate"> {
  if (mlp.kind !== "experts") return { inner: (mlp.kind === "gated" ? 3 : 2) * mlp.width, intermediate: mlp.width };
  const { perToken, width, shared, beside } = mlp;
  const intermediate = perToken * width + (shared?.width ?? 0) + (beside?.width ?? 0);
  return { inner: 3 * intermediate, intermediate };
}

function heads(
  attention: BlockSpec["attention"],
): Pick<BlockExtent, "heads" | "kvHeads" | "headDim" | "slidingWindow"> {
  switch (attention.kind) {
    case "softmax":
      return { ...attention, slidingWindow: attention.slidingWindow ?? attention.chunk ?? null };
    case "latent": {
      const headDim = attention.plainDim + Math.max(attention.rotaryDim, attention.valueDim);
      return { heads: attention.heads, kvHeads: attention.heads, headDim, slidingWindow: null };
    }
    case "convolution":
      return { heads: 1, kvHeads: 1, headDim: attention.channels, slidingWindow: attention.kernel };
    case "delta":
      // In fp32, keys and queries repeated for each head of the values, and scores within a chunk of 64.
      return {
        heads: attention.valueHeads,
        kvHeads: attention.valueHeads,
        headDim: 2 * Math.max(attention.keyDim, attention.valueDim),
        slidingWindow: 64,
      };
  }
}
