import type { ExportSource } from "../contract/export-source.js";

const embedding = /(?:^|\.)(?:embed_tokens|embed_positions|wte|wpe)$/;

/**
 * Names of the Linears that were left alone, `lm_head` always among them: where it is tied to the embedding it has no
 * tensor of its own, and readers still find the module.
 */
export function unquantizedLinears({ linears, plain }: ExportSource): readonly string[] {
  const names = [...plain.values()]
    .filter((tensor) => tensor.shape.length === 2 && tensor.name.endsWith(".weight"))
    .map((tensor) => tensor.name.slice(0, -".weight".length))
    .filter((name) => !embedding.test(name) && !linears.has(name));
  return linears.has("lm_head") ? names : [...new Set(["lm_head", ...names])];
}
