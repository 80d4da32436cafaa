import type { DecoderSpec } from "../../network/index.js";
import { type Arranged, arrangedSource } from "../arranged-source.js";
import type { ExportSource } from "../contract/export-source.js";
import { fusedViews } from "../source/fused-views.js";
import { sourceCensus } from "../source/source-census.js";
import { storedSource } from "../source/stored-source.js";
import { arrangement } from "./network/arrangement.js";
import type { GgufFamily } from "./network/families.js";
import { arrangedName, type GgufName, ggufNames } from "./network/tensor-names.js";

/** What the file is written from: the tensors that it has, by names of theirs, and what these are called there. */
export function fileTensors(
  result: ExportSource,
  spec: DecoderSpec,
  family: GgufFamily,
): { readonly source: ExportSource; readonly names: ReadonlyMap<string, GgufName> } {
  const names = new Map(ggufNames(spec, family));
  const arranged = new Map<string, Arranged>();
  for (const part of arrangement(spec, family)) {
    const named = arrangedName(part);
    const own = `${part.from.replace(/\.weight$/, "")} as ${named.name.replace(/\.weight$/, "")}`;
    const name = part.from.endsWith(".weight") ? `${own}.weight` : own;
    arranged.set(name, part);
    names.set(name, named);
  }
  return { source: arrangedSource(fusedSource(result, spec), arranged), names };
}

/** What the network reads, with Linears fused as the checkpoint fuses them: all rows of one part, then those of the next. */
function fusedSource(result: ExportSource, spec: DecoderSpec): ExportSource {
  const read = sourceCensus(result)?.read;
  const plain = new Map([...result.plain].filter(([name]) => read === undefined || read.has(name)));
  const fused = spec.stored.fused.map((linears) => ({ ...linears, order: "stacked" as const }));
  const views = fusedViews({ ...spec, stored: { ...spec.stored, fused } });
  return storedSource({ ...result, plain }, { plain: views, coded: views });
}
