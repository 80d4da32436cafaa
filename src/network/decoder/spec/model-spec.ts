import { foreignConfig } from "../../../checkpoint/foreign-folder.js";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { ModelError } from "../../../errors.js";
import type { Fact, Family } from "../families/family.js";
import { families } from "../families/index.js";
import { type AttentionSpec, type DecoderSpec, type LinearRole, linearName } from "./decoder-spec.js";
import { storedViews } from "./experts/stored-views.js";
import { readSpec } from "./read-spec.js";

/** Linears whose biases one fact of a family speaks of. */
export interface BiasFact {
  readonly roles: readonly LinearRole[];
  /** Key of `config.json` that says whether they are there; null where the family fixes it. */
  readonly key: string | null;
}

/** The facts about biases of a family. */
export function biasFacts({ attention, mlp }: Pick<Family, "attention" | "mlp">): readonly BiasFact[] {
  const keyOf = (fact: Fact<boolean>): string | null => (typeof fact === "boolean" ? null : fact.key);
  return [
    { roles: ["q", "k", "v"], key: keyOf(attention.qkvBias) },
    { roles: ["o"], key: keyOf(attention.outBias) },
    { roles: ["gate", "up", "down"], key: keyOf(mlp.bias) },
  ];
}

/**
 * The decoder that a `config.json` and the tensors beside it describe. One key may stand for the biases of several kinds of
 * Linears (`attention_bias`: queries, keys and values, and the output), and checkpoints that have one kind alone set it too.
 * transformers fills what is missing with zeros; here such a kind has no bias, which computes the same.
 *
 * @param stored whether the checkpoint holds a tensor of this name
 * @throws ModelError as `readSpec` does
 */
export function modelSpec(config: ModelConfig, stored: (tensor: string) => boolean): DecoderSpec {
  const foreign = foreignConfig(config);
  if (foreign !== null) throw new ModelError({ ...foreign, where: "config.json" });
  const spec = readSpec(config, stored);
  const family = families.get(spec.family);
  const facts = family === undefined ? [] : biasFacts(family);
  const views = storedViews(spec, stored);
  const has = (tensor: string): boolean => stored(tensor) || views.has(tensor);
  const present = facts.filter(({ roles }) => roles.some((role) => anyBias(spec, role, has)));
  const absent = facts.filter(
    (fact) => fact.key !== null && !present.includes(fact) && present.some(({ key }) => key === fact.key),
  );
  if (absent.length === 0) return spec;
  const kept = (role: LinearRole): boolean => !absent.some(({ roles }) => roles.includes(role));
  const withKept = (attention: AttentionSpec): AttentionSpec => ({
    ...attention,
    qkvBias: attention.qkvBias && kept("q"),
    outBias: attention.outBias && kept("o"),
  });
  return {
    ...spec,
    blocks: spec.blocks.map((block) => ({
      ...block,
      attention: block.attention.kind === "softmax" ? withKept(block.attention) : block.attention,
      mlp: block.mlp.kind === "experts" ? block.mlp : { ...block.mlp, bias: block.mlp.bias && kept("up") },
    })),
  };
}

function anyBias(spec: DecoderSpec, role: LinearRole, has: (tensor: string) => boolean): boolean {
  if (spec.names.linears[role] === undefined) return false;
  return spec.blocks.some((_, block) => has(`${linearName(spec, block, role)}.bias`));
}
