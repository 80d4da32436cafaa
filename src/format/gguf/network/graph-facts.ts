import { FormatError } from "../../../errors.js";
import {
  type AttentionSpec,
  blockOf,
  type DecoderSpec,
  type DeltaNetSpec,
  type DenseMlpSpec,
  type ExpertsSpec,
  type LatentAttentionSpec,
} from "../../../network/index.js";
import { type FileAttention, fileAttentions, mainAttention } from "./attentions.js";
import type { BiasedLinears, ExpertsGraph, GgufFamily } from "./families.js";
import { windowPattern } from "./window-pattern.js";

/** What a GGUF file says once for all blocks. */
export interface GraphFacts {
  /** Of the first block that has some, and sees everything where blocks differ. */
  readonly attention: AttentionSpec;
  readonly main: FileAttention;
  /** The window that the file's graph has; null where it sees everything. */
  readonly window: number | null;
  /** Blocks before the first that has experts. */
  readonly leadingDense: number;
  /** Blocks from one that has experts to the next; 0 without experts. */
  readonly expertsEvery: number;
  readonly dense: DenseMlpSpec | null;
  readonly experts: ExpertsSpec | null;
  readonly delta: DeltaNetSpec | null;
}

/** What all blocks share, as far as llama.cpp's graph of the family fixes it. @throws FormatError for what it computes otherwise */
export function graphFacts(spec: DecoderSpec, family: GgufFamily): GraphFacts {
  const main = mainAttention(spec);
  for (const each of fileAttentions(spec)) requireAttention(spec, family, each);
  requireArrangement(spec, family);
  requireBiases(spec, family);
  if (family.head === "embedding" && !spec.tied) {
    refuse(
      `the output matrix is not the embedding, and llama.cpp takes the embedding for it in ${family.architecture}`,
    );
  }
  const mlps = mlpFacts(spec, family);
  const windows = fileAttentions(spec).flatMap(({ attention }) => attention.slidingWindow ?? []);
  return {
    ...mlps,
    main,
    attention: main.attention,
    window: (family.perKind === true ? windows[0] : windowPattern(spec, family)?.window) ?? null,
    delta: deltaFacts(spec, family),
  };
}

type MlpFacts = Pick<GraphFacts, "leadingDense" | "expertsEvery" | "dense" | "experts">;

function mlpFacts(spec: DecoderSpec, family: GgufFamily): MlpFacts {
  const dense: DenseMlpSpec[] = [];
  const experts: ExpertsSpec[] = [];
  const withExperts = spec.blocks.flatMap(({ mlp }, block) => (mlp.kind === "experts" ? [block] : []));
  const first = withExperts[0] ?? spec.blocks.length;
  const graph = family.experts;
  const every = withExperts.length === 0 ? 0 : graph?.interleaved === true ? first + 1 : 1;
  spec.blocks.forEach((_, block) => {
    const { mlp } = blockOf(spec, block);
    if (mlp.kind === "experts") experts.push(mlp);
    else dense.push(mlp);
    const expected = graph?.interleaved === true ? every > 0 && (block + 1) % every === 0 : block >= first;
    if ((mlp.kind === "experts") !== expected) {
      refuse(
        `block ${block} has ${expected ? "no experts" : "experts"}, and the file can't say so: ` +
          (graph?.interleaved === true
            ? "it has them in every so many-th block"
            : "it counts dense blocks before them"),
      );
    }
    requireActivation(mlp.activation, family);
  });
  const differ = [dense, experts].some((all) => all.some((mlp) => JSON.stringify(mlp) !== JSON.stringify(all[0])));
  const mixed = graph?.weights === "keyed" || graph?.interleaved === true;
  if (differ || (dense.length > 0 && experts.length > 0 && !mixed)) {
    refuse("GGUF is not written for this family where the MLPs of its blocks differ, as where some have experts");
  }
  const [routed] = experts;
  if (routed !== undefined) requireRouting(routed, family);
  const needed = family.latent === true || graph?.interleaved === true || family.delta === "grouped";
  if (needed && routed === undefined) {
    refuse(`no block has experts, and llama.cpp's architecture ${family.architecture} needs some`);
  }
  return {
    leadingDense: routed === undefined ? 0 : first,
    expertsEvery: every,
    dense: dense[0] ?? routed?.beside ?? null,
    experts: routed ?? null,
  };
}

function deltaFacts(
  { blocks, finalNorm }: DecoderSpec,
  { delta: known, architecture }: GgufFamily,
): DeltaNetSpec | null {
  const all = blocks.flatMap(({ attention }) => (attention.kind === "delta" ? [attention] : []));
  const [first] = all;
  if (first === undefined) {
    if (known === undefined) return null;
    return refuse(`no block is a delta net, and llama.cpp's architecture ${architecture} has some`);
  }
  if (all.some((each) => JSON.stringify(each) !== JSON.stringify(first))) refuse("delta nets of its blocks differ");
  if (first.keyDim !== first.valueDim) {
    refuse(
      `keys of delta nets are ${first.keyDim} wide and values ${first.valueDim}, and llama.cpp has one width for both`,
    );
  }
  if (first.norm.eps !== finalNorm.eps) refuse("norms of delta nets have an epsilon of their own");
  return first;
}

function requireAttention(spec: DecoderSpec, family: GgufFamily, { block, attention, latent }: FileAttention): void {
  const attentions = fileAttentions(spec);
  const full = attention.slidingWindow === null;
  const like = attentions.find(
    (each) => family.perKind !== true || (each.attention.slidingWindow === null) === full,
  )?.attention;
  if ((["heads", "kvHeads", "headDim"] as const).some((key) => attention[key] !== like?.[key])) {
    refuse(
      `block ${block} has other heads than block ${attentions[0]?.block ?? 0}, and the file would say one for all`,
    );
  }
  if (family.squareHeads === true && attention.heads * attention.headDim !== spec.hiddenSize) {
    refuse(
      `heads of block ${block} have ${attention.heads * attention.headDim} channels, and llama.cpp's ${family.architecture} has the ` +
        `${spec.hiddenSize} of the stream`,
    );
  }
  const pattern = windowPattern(spec, family);
  const isFull = pattern !== null && (block + 1) % pattern.fullEvery === 0;
  // Where its graph has no window, the file promises no longer context than the narrowest.
  const window =
    pattern === null || isFull ? null : (attentions.flatMap((each) => each.attention.slidingWindow ?? [])[0] ?? null);
  if (pattern !== null && attention.slidingWindow !== window) {
    refuse(`block ${block} has another window than llama.cpp's graph of ${family.architecture} gives it`);
  }
  const windows = attentions.flatMap((each) => each.attention.slidingWindow ?? []);
  if (family.perKind === true && new Set(windows).size > 1) {
    refuse(`block ${block} has another window than other blocks, and the file would say one for all`);
  }
  requireChunks(spec, family, block, attention);
  requireHeads(spec, family, block, attention);
  const { unrotated } = family;
  const rotates =
    unrotated === "full"
      ? !(isFull || onlyFull(spec, family))
      : unrotated === undefined || (block + 1) % unrotated !== 0;
  const positions = spec.embedding.positions !== null || attention.alibi;
  if (!positions && (attention.rotary !== null) !== rotates) {
    refuse(
      `block ${block} of this ${spec.family} has ${attention.rotary === null ? "no " : ""}rotary positions, and llama.cpp's graph expects the opposite`,
    );
  }
  const pairs = attention.rotary?.pairs ?? family.pairs;
  if (pairs !== family.pairs && (pairs === "neighbours" || attention.rotary?.width !== attention.headDim)) {
    refuse(`llama.cpp turns other channels of a head together in ${family.architecture}`);
  }
  if (attention.softcap !== null && family.softcaps !== true) {
    refuse(`scores have a cap, which llama.cpp's graph of ${family.architecture} does not have`);
  }
  if (latent !== null) requireLatent(spec, block, latent);
}

// Cohere 2 turns blocks with a window alone; EXAONE 4 all blocks where none has one.
function onlyFull(spec: DecoderSpec, family: GgufFamily): boolean {
  return family.windowedBlocks === undefined && windowPattern(spec, family) === null;
}

// A chunk or a step of the temperature that no context reaches changes nothing.
function requireChunks(
  spec: DecoderSpec,
  { chunks, architecture }: GgufFamily,
  block: number,
  own: AttentionSpec,
): void {
  if (chunks === undefined) return;
  const { maxPositions } = spec;
  const chunked = (block + 1) % chunks.allBut !== 0;
  const reached = (size: number | undefined): number | null =>
    size === undefined || size >= maxPositions ? null : size;
  if (reached(own.chunk) !== (chunked ? reached(chunks.size) : null)) {
    refuse(
      `block ${block} has ${own.chunk === undefined ? "no chunks" : `chunks of ${own.chunk} tokens`}, and llama.cpp's ${architecture} has ` +
        `chunks of ${chunks.size} in all but every ${chunks.allBut}th block`,
    );
  }
  const normed = own.positionedNorm !== undefined;
  const large = spec.blocks.some((each) => each.mlp.kind === "experts" && each.mlp.count === LARGE_EXPERTS);
  if (own.rotary !== null && normed === large) {
    refuse(
      `queries and keys of block ${block} have ${normed ? "" : "no "}norms behind their positions, and llama.cpp's ${architecture} has ` +
        `them unless there are ${LARGE_EXPERTS} experts`,
    );
  }
  const grows = own.temperature !== undefined && own.temperature.floor <= maxPositions;
  const same = own.temperature?.floor === chunks.floor && Math.abs(own.temperature.scale - chunks.scale) < 1e-9;
  if (grows ? !same : own.rotary === null && chunks.floor <= maxPositions) {
    refuse(`queries of block ${block} grow with their position otherwise than in llama.cpp's ${architecture}`);
  }
}

function requireHeads({ maxPositions }: DecoderSpec, family: GgufFamily, block: number, own: AttentionSpec): void {
  const { architecture, chunks, normsBehindPositions = false } = family;
  if (own.qNorm !== null && (own.normsBehindPositions === true) !== normsBehindPositions) {
    refuse(`norms of queries and keys are on the other side of their positions in llama.cpp's ${architecture}`);
  }
  if (family.wholeHeads === true && own.kvHeads !== own.heads) {
    refuse(
      `block ${block} has ${own.kvHeads} key-value heads for ${own.heads} heads, and llama.cpp's ${architecture} as many`,
    );
  }
  if (chunks === undefined && own.temperature !== undefined && own.temperature.floor < maxPositions) {
    refuse(`queries of block ${block} grow with their position, which llama.cpp's ${architecture} does not have`);
  }
}

/** Of Llama 4 Maverick, which has no such norms. */
const LARGE_EXPERTS = 128;

/** Numbers of blocks by which llama.cpp takes a network for a small one, whose queries have no latent. */
const LITE = [26, 27];

function requireLatent({ blocks, finalNorm }: DecoderSpec, block: number, latent: LatentAttentionSpec): void {
  if (latent.bias) refuse(`latent attention of block ${block} has biases, which llama.cpp's deepseek2 does not have`);
  if (latent.norm.eps !== finalNorm.eps) {
    refuse(
      `norms of latents have the epsilon ${latent.norm.eps}, and llama.cpp computes them with that of the others, ${finalNorm.eps}`,
    );
  }
  if (latent.queryRank !== null && LITE.includes(blocks.length)) {
    refuse(`llama.cpp takes a deepseek2 of ${blocks.length} blocks for one whose queries have no latent`);
  }
}

function requireBiases(spec: DecoderSpec, { withoutBias = [], architecture }: GgufFamily): void {
  const attention = fileAttentions(spec).map((each) => each.attention);
  const found: Readonly<Record<BiasedLinears, boolean>> = {
    qkv: attention.some(({ qkvBias }) => qkvBias),
    out: attention.some(({ outBias }) => outBias),
    mlp: spec.blocks.some(({ mlp }) => mlp.kind !== "experts" && mlp.bias),
  };
  const names = { qkv: "queries, keys or values have", out: "the output of attention has", mlp: "the MLP has" };
  for (const part of withoutBias) {
    if (found[part]) refuse(`${names[part]} biases, which llama.cpp's graph of ${architecture} does not have`);
  }
}

function requireArrangement(spec: DecoderSpec, { architecture, parallelKey }: GgufFamily): void {
  const always = ["cohere2", "command-r", "phi2"].includes(architecture);
  const other = spec.blocks.some(({ arrangement }) => (arrangement === "parallel") !== always);
  if (other && parallelKey !== true) refuse(`llama.cpp computes attention and MLP in another order in ${architecture}`);
}

function requireActivation(activation: string, { activations = ["silu"], architecture }: GgufFamily): void {
  if (activations.some((known) => known === activation)) return;
  throw new FormatError({
    what: `the activation is ${activation}, and llama.cpp computes this family with ${activations[0]}`,
    where: "config.json",
    why: `its architecture is ${architecture}`,
    next: "use --format compressed-tensors or onnx",
  });
}

function requireRouting(mlp: ExpertsSpec, { architecture, experts }: GgufFamily): void {
  const { router } = mlp;
  const beside = experts?.besideDense === true;
  const usual =
    [router.readsStream, router.expertScale, mlp.beside !== null].every((own) => own === beside) &&
    mlp.weighsInput === (experts?.weighsInput === true);
  const clamped = experts?.clamped === true;
  const same = (mlp.clamped !== null) === clamped && mlp.bias === clamped && router.bias === clamped;
  const limits = mlp.clamped === null || (mlp.clamped.limit === 7 && Math.abs(mlp.clamped.alpha - 1.702) < 1e-9);
  if (usual && same && limits && experts !== undefined && isRouted(mlp, experts)) return;
  refuse(`llama.cpp's architecture ${architecture} routes tokens to experts in another way`);
}

function isRouted({ router, count, shared, width }: ExpertsSpec, { weights, weighsInput }: ExpertsGraph): boolean {
  const { groups } = router;
  if (weights === "keyed") {
    // It counts the two best of a group, and keeps fewer groups than there are.
    const usual =
      groups === null || groups.kept >= groups.count || (groups.by === "two-best" && count / groups.count >= 2);
    return usual && (shared === null || shared.width % width === 0);
  }
  const plain = !router.correction && groups === null && router.scaling === 1;
  if (weighsInput === true) {
    return plain && router.scores === "sigmoid" && router.normalised === null && shared?.width === width;
  }
  // A softmax over those that are chosen is one over all whose chosen weights are made to add up to 1.
  const normalised = router.scores === "chosen-softmax" || router.normalised !== null;
  return plain && router.scores !== "sigmoid" && normalised === (weights === "normalised");
}

function refuse(what: string): never {
  throw new FormatError({ what, where: "config.json", next: "use --format compressed-tensors" });
}
