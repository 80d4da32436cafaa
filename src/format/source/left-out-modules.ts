import type { LeftOutTensors } from "../../network/index.js";
import type { ExportSource } from "../contract/export-source.js";
import { sourceCensus } from "./source-census.js";

/** Parts of a model that run beside its network: readers build their modules, and have to know that these are not quantized. */
const parts: ReadonlySet<LeftOutTensors["reason"]> = new Set(["multi-token-prediction", "other-modality"]);

/**
 * The modules of parts that nothing quantizes, each as short as it can be named without naming something of the network:
 * `mtp`, `model.visual`, `model.layers.61`. Experts of such parts are no Linears of their own in a file, and yet are in a reader.
 */
export function leftOutModules(source: Pick<ExportSource, "config" | "linears" | "plain">): readonly string[] {
  const census = sourceCensus(source);
  if (census === null) return [];
  const left = new Set(census.leftOut.filter(({ reason }) => parts.has(reason)).flatMap(({ tensors }) => tensors));
  const others = new Set<string>();
  for (const name of [...source.linears.keys(), ...source.plain.keys()]) {
    if (!left.has(name)) for (const prefix of prefixesOf(name)) others.add(prefix);
  }
  return [...new Set([...left].flatMap((name) => prefixesOf(name).find((prefix) => !others.has(prefix)) ?? []))];
}

/** `a`, `a.b` of `a.b.c`. */
function prefixesOf(name: string): string[] {
  const segments = name.split(".");
  return segments.slice(1).map((_, i) => segments.slice(0, i + 1).join("."));
}
