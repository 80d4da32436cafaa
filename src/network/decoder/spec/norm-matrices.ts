import type { ModelConfig } from "../../../checkpoint/model-config.js";
import type { DecoderSpec, NormRole, NormSpec } from "./decoder-spec.js";
import { booleanFact } from "./read-facts.js";
import { textConfig, withTextKeys } from "./tower/text-tower.js";

const KEY = "crossblock_norm_matrices";

/** Norms that may have a matrix behind them: those whose output goes to Linears alone. */
const roles: ReadonlySet<string> = new Set<NormRole>(["attentionNorm", "mlpNorm"]);

/**
 * Whether the network of a `config.json` multiplies what its norms give by a stored matrix of hidden size squared: a key of our own,
 * which no other program computes.
 */
export function hasNormMatrices(config: ModelConfig): boolean {
  return booleanFact(textConfig(config), { key: KEY, default: false });
}

/** The same configuration with matrices behind norms. */
export function withNormMatrices(config: ModelConfig): ModelConfig {
  return withTextKeys(config, { [KEY]: true });
}

/** The norms of a block, with matrices behind them. */
export function matrixNorms(norms: Partial<Record<NormRole, NormSpec>>): Partial<Record<NormRole, NormSpec>> {
  return Object.fromEntries(
    Object.entries(norms).map(([role, norm]) => [role, roles.has(role) ? { ...norm, matrix: true } : norm]),
  );
}

/** The same decoder with matrices behind the norms of its blocks. */
export function specWithNormMatrices(spec: DecoderSpec): DecoderSpec {
  return { ...spec, blocks: spec.blocks.map((block) => ({ ...block, norms: matrixNorms(block.norms) })) };
}
