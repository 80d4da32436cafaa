import type { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { FormatError } from "../../errors.js";
import type { CutGraph } from "../../network/index.js";
import type { ExportSource } from "./export-source.js";

/** The ONNX graph that a result was made from. */
export interface GraphSource {
  /** The file, open: what does not change is copied from its bytes. */
  readonly content: OnnxContent;
  /** The graph as it was quantized, its batch norms folded or not, with its layers. */
  readonly cut: CutGraph;
}

/** Refuses a result of an ONNX graph for formats that hold language models. @throws FormatError naming the one that holds it */
export function assertLanguageModel({ graph }: Pick<ExportSource, "graph">): void {
  if (graph === undefined) return;
  throw new FormatError({
    what: "this format holds language models, and this is the result of an ONNX graph",
    where: graph.content.file,
    next: "use --format qdq",
  });
}
