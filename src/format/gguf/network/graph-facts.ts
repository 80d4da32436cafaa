import { FormatError } from "../../../errors.js";
import {
  type AttentionSpec,
  blockOf,
  type DecoderSpec,
  type DenseMlpSpec,
  type ExpertsSpec,
  softmaxAttentionOf,
} from "../../../network/index.js";
import type { ExpertsGraph, GgufFamily } from "./families.js";

/** What a GGUF file says once for all blocks. */
export interface GraphFacts {
  /** Of the first block. */
  readonly attention: AttentionSpec;
  /** The window that the file's graph has; null where it sees everything. */
  readonly window: number | null;
  /** Blocks before the first that has experts. */
  readonly leadingDense: number;
  readonly dense: DenseMlpSpec | null;
  readonly experts: ExpertsSpec | null;
}

/** What all blocks share, as far as llama.cpp's graph of the family fixes it. @throws FormatError for what it computes otherwise */
export function graphFacts(spec: DecoderSpec, family: GgufFamily): GraphFacts {
  const attention = softmaxAttentionOf(spec, 0);
  spec.blocks.forEach((_, block) => {
    requireAttention(spec, family, block, attention);
  });
  requireArrangement(spec, family);
  const dense: DenseMlpSpec[] = [];
  const experts: ExpertsSpec[] = [];
  spec.blocks.forEach((_, block) => {
    const { mlp } = blockOf(spec, block);
    if (mlp.kind !== "experts" && experts.length === 0) dense.push(mlp);
    else if (mlp.kind === "experts") experts.push(mlp);
    else
      refuse(
        `block ${block} has no experts behind blocks that have some, and the file counts dense blocks before them`,
      );
    requireActivation(mlp.activation, family);
  });
  const differ = [dense, experts].some((all) => all.some((mlp) => JSON.stringify(mlp) !== JSON.stringify(all[0])));
  const keyed = family.experts?.weights === "keyed";
  if (differ || (dense.length > 0 && experts.length > 0 && !keyed)) {
    refuse("GGUF is not written for this family where the MLPs of its blocks differ, as where some have experts");
  }
  const [first] = experts;
  if (first !== undefined) requireRouting(first, family);
  const windows = spec.blocks.map((_, block) => softmaxAttentionOf(spec, block).slidingWindow);
  return {
    attention,
    window: family.windows === undefined ? null : (windows.find((window) => window !== null) ?? null),
    leadingDense: first === undefined ? 0 : dense.length,
    dense: dense[0] ?? null,
    experts: first ?? null,
  };
}

function requireAttention(spec: DecoderSpec, family: GgufFamily, block: number, first: AttentionSpec): void {
  const attention = softmaxAttentionOf(spec, block);
  if ((["heads", "kvHeads", "headDim"] as const).some((key) => attention[key] !== first[key])) {
    refuse(`block ${block} has other heads or another window than block 0, and the file would say one for all`);
  }
  const isFull = family.windows !== undefined && (block + 1) % family.windows === 0;
  const windows = spec.blocks.map((_, other) => softmaxAttentionOf(spec, other).slidingWindow);
  const window = windows.find((each) => each !== null) ?? null;
  if (attention.slidingWindow !== (isFull ? null : window)) {
    refuse(`block ${block} has other heads or another window than block 0, and the file would say one for all`);
  }
  const { unrotated } = family;
  const rotates = unrotated === "full" ? !isFull : unrotated === undefined || (block + 1) % unrotated !== 0;
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
}

function requireArrangement(spec: DecoderSpec, { architecture, parallelKey }: GgufFamily): void {
  const always = architecture === "cohere2" || architecture === "phi2";
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
  const usual = !router.readsStream && !router.expertScale && !mlp.weighsInput && mlp.beside === null;
  const clamped = experts?.clamped === true;
  const same = (mlp.clamped !== null) === clamped && mlp.bias === clamped && router.bias === clamped;
  const limits = mlp.clamped === null || (mlp.clamped.limit === 7 && Math.abs(mlp.clamped.alpha - 1.702) < 1e-9);
  if (usual && same && limits && experts !== undefined && isRouted(mlp, experts.weights)) return;
  refuse(`llama.cpp's architecture ${architecture} routes tokens to experts in another way`);
}

function isRouted({ router }: ExpertsSpec, weights: ExpertsGraph["weights"]): boolean {
  if (weights === "keyed") return router.groups === null || router.groups.count === 1;
  const plain = !router.correction && router.groups === null && router.scaling === 1;
  // A softmax over those that are chosen is one over all whose chosen weights are made to add up to 1.
  const normalised = router.scores === "chosen-softmax" || router.normalised !== null;
  return plain && router.scores !== "sigmoid" && normalised === (weights === "normalised");
}

function refuse(what: string): never {
  throw new FormatError({ what, where: "config.json", next: "use --format compressed-tensors" });
}
