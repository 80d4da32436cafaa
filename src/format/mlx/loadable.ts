import { FormatError } from "../../errors.js";
import { type AttentionSpec, type DecoderSpec, decoderUnits, layerOf } from "../../network/index.js";
import type { ExportSource } from "../contract/export-source.js";
import type { BiasedLinears, MlxFamily } from "./families.js";

/** @throws FormatError for what mlx-lm's model of a family fixes otherwise, naming it: it would load nothing, or compute something else */
export function requireLoadable({ linears }: ExportSource, spec: DecoderSpec, family: MlxFamily): void {
  const refuse = (what: string, key: string): never => {
    throw new FormatError({ what, where: `config.json, ${key}`, next: "use --format compressed-tensors or gguf" });
  };
  const name = `mlx-lm's ${spec.family}`;
  const attentions = spec.blocks.flatMap(({ attention }) => (attention.kind === "softmax" ? [attention] : []));
  const wide = attentions.find(({ heads, headDim }) => heads * headDim !== spec.hiddenSize);
  if (family.squareHeads === true && wide !== undefined) {
    refuse(
      `heads are together ${wide.heads * wide.headDim} channels wide, and in ${name} as wide as the stream`,
      "head_dim",
    );
  }
  const has = biases(spec, attentions);
  for (const part of family.withoutBias ?? []) {
    if (has[part]) refuse(`${WORDS[part]} biases, which ${name} does not have`, "attention_bias");
  }
  if (family.head === "embedding" && !spec.tied) {
    refuse(`the output matrix is not the embedding, which ${name} takes for it`, "tie_word_embeddings");
  }
  const { activations = ["silu"], widening } = family;
  const odd = spec.blocks.find(({ mlp }) => !activations.includes(mlp.activation));
  if (odd !== undefined)
    refuse(`the activation is ${odd.mlp.activation}, and that of ${name} is ${activations[0]}`, "hidden_act");
  const kinds = new Set(spec.blocks.map(({ mlp }) => mlp.kind));
  if (family.alikeMlps === true && kinds.size > 1)
    refuse(`some blocks have experts, and in ${name} all or none`, "decoder_sparse_step");
  const [{ mlp } = {}] = spec.blocks;
  if (widening !== undefined && mlp?.width !== widening * spec.hiddenSize) {
    refuse(
      `the MLP has ${mlp?.width ?? 0} channels, and in ${name} ${widening} times the ${spec.hiddenSize} of the stream`,
      "intermediate_size",
    );
  }
  if (family.plainRotary === true && attentions.some(({ rotary }) => (rotary?.scaling.kind ?? "none") !== "none")) {
    refuse(`positions are scaled, and in ${name} never`, "rope_parameters");
  }
  requireKinds(spec, family, refuse);
  refuseRounded(linears, spec, family);
}

const WORDS: Readonly<Record<BiasedLinears, string>> = {
  qkv: "queries, keys or values have",
  out: "the output of attention has",
  mlp: "the MLP has",
};

function biases(
  { blocks }: DecoderSpec,
  attentions: readonly AttentionSpec[],
): Readonly<Record<BiasedLinears, boolean>> {
  return {
    qkv: attentions.some(({ qkvBias }) => qkvBias),
    out: attentions.some(({ outBias }) => outBias),
    mlp: blocks.some(({ mlp }) => mlp.kind !== "experts" && mlp.bias),
  };
}

/** Blocks that see everything come every so many-th; null where they come otherwise, or nowhere. */
export function fullEvery({ blocks }: DecoderSpec): number | null {
  const full = blocks.map(
    ({ attention }) =>
      attention.kind === "latent" || (attention.kind === "softmax" && attention.slidingWindow === null),
  );
  const every = full.indexOf(true) + 1;
  return every > 0 && full.every((is, block) => is === ((block + 1) % every === 0)) ? every : null;
}

function requireKinds(spec: DecoderSpec, { kinds }: MlxFamily, refuse: (what: string, key: string) => never): void {
  if (kinds === "every" && fullEvery(spec) === null) {
    refuse(`which blocks see everything is not every so many-th, as in mlx-lm's ${spec.family}`, "layer_types");
  }
  if (spec.blocks.some(({ attention }) => attention.kind === "latent" && attention.rotary.pairs === "halves")) {
    refuse(
      `mlx-lm's ${spec.family} turns neighbouring channels together, and this one the halves of a head`,
      "rope_interleave",
    );
  }
  const full = spec.blocks.map(({ attention }) => attention.kind === "softmax" && attention.slidingWindow === null);
  const still = spec.blocks.every(({ attention }) => attention.kind === "softmax" && attention.rotary === null);
  if (kinds === "letters" && still && !full.includes(false)) {
    refuse(
      `mlx-lm's ${spec.family} turns queries and keys where no block has a window, and this one does not`,
      "layer_types",
    );
  }
  if (kinds === "both" && new Set(full).size < 2) {
    refuse(
      `mlx-lm's ${spec.family} has blocks that see everything and others, and this one has one kind alone`,
      "layer_types",
    );
  }
}

function refuseRounded(linears: ExportSource["linears"], spec: DecoderSpec, { rounds = [] }: MlxFamily): void {
  for (const unit of decoderUnits(spec)) {
    for (const role of rounds) {
      const { module } = layerOf(unit, role);
      if (!linears.has(module)) continue;
      throw new FormatError({
        what: `mlx-lm turns the codes of this Linear round and rounds them again as it loads a ${spec.family}`,
        where: module,
        next: `leave it in full precision: --set 'overrides=[{"pattern":"*.${module.split(".").at(-1)}","skip":true}]', or use --format compressed-tensors or gguf`,
      });
    }
  }
}
