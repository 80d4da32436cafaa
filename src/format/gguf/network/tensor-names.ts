import { type DecoderSpec, decoderUnits, inBlock } from "../../../network/index.js";
import type { BlockPart, GgufFamily } from "./families.js";

/** Where a tensor of the checkpoint goes: its GGUF name, and its place in the file's order. */
export interface GgufName {
  readonly name: string;
  readonly rank: number;
  /** What it is in a block; null outside the blocks. */
  readonly part: BlockPart | null;
  /** It is stored as the factors of a norm, where the checkpoint has these less one. */
  readonly plusOne: boolean;
}

/** What llama.cpp calls the parts of a block, `blk.N.` left out, in the order of the file. */
const PARTS: Readonly<Partial<Record<BlockPart, string>>> = {
  attentionNorm: "attn_norm",
  deltaQkv: "attn_qkv",
  deltaZ: "attn_gate",
  deltaConvolution: "ssm_conv1d.weight",
  deltaTimeBias: "ssm_dt.bias",
  deltaDecay: "ssm_a",
  deltaB: "ssm_beta",
  deltaA: "ssm_alpha",
  deltaBa: "ssm_ba",
  deltaNorm: "ssm_norm",
  deltaOut: "ssm_out",
  convolutionIn: "shortconv.in_proj",
  convolution: "shortconv.conv.weight",
  convolutionOut: "shortconv.out_proj",
  qDown: "attn_q_a",
  qLatentNorm: "attn_q_a_norm",
  qUp: "attn_q_b",
  kvDown: "attn_kv_a_mqa",
  kvLatentNorm: "attn_kv_a_norm",
  kvUp: "attn_kv_b",
  q: "attn_q",
  k: "attn_k",
  v: "attn_v",
  qkv: "attn_qkv",
  o: "attn_output",
  qNorm: "attn_q_norm",
  kNorm: "attn_k_norm",
  sinks: "attn_sinks.weight",
  attentionPostNorm: "post_attention_norm",
  mlpNorm: "ffn_norm",
  router: "ffn_gate_inp",
  routerScale: "ffn_gate_inp.scale",
  routerCorrection: "exp_probs_b.bias",
  gate: "ffn_gate",
  up: "ffn_up",
  gateUp: "ffn_up",
  down: "ffn_down",
  expertGate: "ffn_gate_exps",
  expertUp: "ffn_up_exps",
  expertDown: "ffn_down_exps",
  expertScale: "ffn_down_exps.scale",
  sharedGate: "ffn_gate_shexp",
  sharedUp: "ffn_up_shexp",
  sharedDown: "ffn_down_shexp",
  sharedExpertGate: "ffn_gate_inp_shexp",
  densePostNorm: "post_ffw_norm_1",
  expertsNorm: "pre_ffw_norm_2",
  expertsPostNorm: "post_ffw_norm_2",
  mlpPostNorm: "post_ffw_norm",
  outputScalar: "layer_output_scale.weight",
};
const ORDER = Object.keys(PARTS);

/**
 * GGUF's name of every tensor that a network reads, by its name in the checkpoint, with Linears fused as there. Tensors of a network
 * that llama.cpp has no name for are absent.
 */
export function ggufNames(
  spec: DecoderSpec,
  { renamed, finalNorm: last = "output_norm" }: GgufFamily,
): ReadonlyMap<string, GgufName> {
  const { names, stored, finalNorm, embedding } = spec;
  const all = new Map<string, GgufName>();
  const outer = (module: string | undefined, name: string, rank: number, plusOne = false): void => {
    if (module === undefined) return;
    all.set(`${module}.weight`, { name: `${name}.weight`, rank, part: null, plusOne });
    all.set(`${module}.bias`, { name: `${name}.bias`, rank, part: null, plusOne: false });
  };
  outer(names.embedding, "token_embd", 0);
  outer(names.positions, "position_embd", 0.1);
  outer(names.embeddingNorm, "token_embd_norm", 0.2, embedding.norm?.gain === "1+w");
  outer(names.finalNorm, last, Number.MAX_VALUE, finalNorm.gain === "1+w");
  if (!spec.tied || spec.head.bias) outer(names.head, "output", Number.POSITIVE_INFINITY);
  const fused = stored.fused.map(({ module, parts }) => ({
    module,
    parts: new Set<string>(parts),
    part: parts.includes("q") ? ("qkv" as const) : ("gateUp" as const),
  }));
  for (const unit of decoderUnits(spec)) {
    const add = (part: BlockPart, module: string, plusOne = false): void => {
      const name = renamed?.[part] ?? PARTS[part];
      if (name === undefined) return;
      const rank = 1 + unit.index * 100 + ORDER.indexOf(part) * 2;
      const full = `blk.${unit.index}.${name}`;
      all.set(`${module}.weight`, { name: `${full}.weight`, rank, part, plusOne });
      all.set(`${module}.bias`, { name: `${full}.bias`, rank: rank + 1, part, plusOne: false });
    };
    for (const { name, module } of unit.layers) {
      const whole = fused.find(({ parts }) => parts.has(name) && allIn(parts, unit.layers));
      if (whole === undefined) add(name as BlockPart, module);
      else add(whole.part, inBlock(names, unit.index, whole.module));
    }
    for (const { name, module, gain } of unit.norms) add(name as BlockPart, module, gain === "1+w");
    for (const { name, tensor } of unit.tensors ?? []) {
      const own = PARTS[name as BlockPart];
      if (own === undefined) continue;
      const rank = 1 + unit.index * 100 + ORDER.indexOf(name) * 2;
      all.set(tensor, { name: `blk.${unit.index}.${own}`, rank, part: name as BlockPart, plusOne: false });
    }
  }
  return all;
}

/** The name and place of a part of a block that the file has in another form than the checkpoint. */
export function arrangedName({ block, part }: { readonly block: number; readonly part: BlockPart }): GgufName {
  const own = PARTS[part] ?? part;
  const name = `blk.${block}.${own}${own.includes(".") || part === "deltaDecay" ? "" : ".weight"}`;
  return { name, rank: 1 + block * 100 + ORDER.indexOf(part) * 2, part, plusOne: false };
}

function allIn(parts: ReadonlySet<string>, layers: readonly { readonly name: string }[]): boolean {
  return [...parts].every((part) => layers.some(({ name }) => name === part));
}
