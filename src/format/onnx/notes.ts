import type { ExportSource } from "../contract/export-source.js";
import { omissionNotes } from "../source/source-census.js";
import type { OnnxPlan } from "./plan.js";

/** Families whose graph is written and whose name transformers.js does not know. */
const UNKNOWN: ReadonlySet<string> = new Set(["glm4", "nemotron"]);

/** What a user should know of the files: one sentence each. */
export function onnxNotes({ tensors, dtype, spec }: OnnxPlan, source: ExportSource): string[] {
  const { activations } = source;
  const notes: string[] = [...omissionNotes(source, "ONNX")];
  if (UNKNOWN.has(spec.family)) {
    notes.push(
      `transformers.js 4 has no model type ${spec.family}: onnxruntime computes the graph, and transformers.js does not load it.`,
    );
  }
  if (activations !== null) {
    notes.push(
      `ONNX files store weights only: the ${activations.bits}-bit activations are left to onnxruntime, which rounds them in its own way.`,
    );
  }
  if (dtype.endsWith("16")) {
    notes.push(
      "The graph computes in fp16: embedding, norms and biases are rounded to it; codes and scales are exact.",
    );
  }
  const wider = tensors.filter(({ part, layout, container }) => part === "codes" && layout?.bits !== container?.bits);
  if (wider.length > 0) {
    const widths = [...new Set(wider.map(({ container }) => container?.bits ?? 0))].sort().join(" and ");
    notes.push(
      `${wider.length === 1 ? "1 Linear is" : `${wider.length} Linears are`} exact in ${widths} bits a code, more than their scheme: MatMulNBits has 2, 4 and 8.`,
    );
  }
  return notes;
}
