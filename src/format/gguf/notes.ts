import type { ExportSource } from "../contract/export-source.js";
import { omissionNotes } from "../source/source-census.js";
import { sourceSpec } from "../source/source-spec.js";
import { rotaries } from "./network/rope-scaling.js";
import type { GgufPlan } from "./plan.js";

/** What a user should know of a file that is exact as far as it goes: one sentence each. */
export function ggufNotes({ shape, tensors }: GgufPlan, source: ExportSource): string[] {
  const { activations } = source;
  const notes: string[] = [...omissionNotes(source, "GGUF")];
  if (activations !== null) {
    notes.push(
      `GGUF stores weights only: the ${activations.bits}-bit activations are left to llama.cpp, which rounds them in its own way.`,
    );
  }
  const wider = tensors.filter((tensor) => tensor.wider);
  if (wider.length > 0) {
    const types = [...new Set(wider.map(({ type }) => type))].join(" and ");
    notes.push(
      `${wider.length === 1 ? "1 tensor is" : `${wider.length} tensors are`} exact in ${types}, which spends more bits than their scheme: no smaller type holds them.`,
    );
  }
  const spec = sourceSpec(source);
  const { maxPositions } = spec;
  const scaling = rotaries(spec).rotary?.scaling;
  if (scaling?.kind === "yarn" && !scaling.wholeDimensions) {
    notes.push(
      "llama.cpp rounds the bounds between which YaRN blends to whole pairs, and the network does not: some positions turn a little differently.",
    );
  }
  if (scaling?.kind === "longrope") {
    notes.push(
      `llama.cpp takes LongRoPE's long divisors for the whole of a context of more than ${scaling.originalContext} tokens, and short ones for a shorter context.`,
    );
  }
  if (shape.contextLength < maxPositions) {
    notes.push(
      `The context is ${shape.contextLength} instead of ${maxPositions} tokens: llama.cpp has no sliding window for this model.`,
    );
  }
  return notes;
}
