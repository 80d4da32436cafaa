import { blockOf, codedViews, type DecoderSpec, linearName, type StoredViews } from "../../network/index.js";

/**
 * How a format stores Linears that fuses them as the checkpoint does, never transposed, and keeps the experts of a Linear in one
 * tensor, as the network has them.
 */
export function fusedViews(spec: DecoderSpec): StoredViews {
  const experts = expertCounts(spec);
  return new Map([...codedViews(spec)].filter(([name]) => !experts.has(name.slice(0, name.lastIndexOf(".")))));
}

/** The modules of a network that hold several experts, and how many. */
export function expertCounts(spec: DecoderSpec): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (let block = 0; block < spec.blocks.length; block++) {
    const { mlp } = blockOf(spec, block);
    if (mlp.kind !== "experts") continue;
    for (const role of ["expertGate", "expertUp", "expertDown"] as const) {
      counts.set(linearName(spec, block, role), mlp.count);
    }
  }
  return counts;
}
