import type { BiasedLinears, GgufFamily } from "./families.js";

/** What the Linears are called that `GgufFamily.withBias` speaks of. */
const BIASED: Readonly<Record<BiasedLinears, RegExp>> = {
  qkv: /attn_(?:q|k|v|qkv)\.weight$/,
  out: /attn_output\.weight$/,
  mlp: /ffn_(?:gate|up|down)\.weight$/,
};

/** The biases that llama.cpp's graph adds and a file lacks, by its tensors: it loads none without them, and zeros change nothing. */
export function missingBiases(
  ranked: readonly {
    readonly rank: number;
    readonly tensor: { readonly name: string; readonly shape: readonly number[] };
  }[],
  { withBias = [] }: GgufFamily,
): readonly { readonly rank: number; readonly name: string; readonly length: number }[] {
  const there = new Set(ranked.map(({ tensor }) => tensor.name));
  return ranked.flatMap(({ rank, tensor: { name, shape } }) => {
    const bias = name.replace(/weight$/, "bias");
    if (there.has(bias) || !withBias.some((part) => BIASED[part].test(name))) return [];
    return [{ rank: rank + 0.5, name: bias, length: shape[0] ?? 0 }];
  });
}
