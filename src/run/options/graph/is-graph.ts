import type { FormatName } from "../../../format/exporters.js";
import { type ReadCondition, setting } from "../../../recipe/options/reading.js";

/** Whether a model that options name is an ONNX file: a network as a graph, and no folder of a language model. */
export function isGraph({ model }: { readonly model?: unknown }): boolean {
  return typeof model === "string" && /\.onnx$/i.test(model);
}

/** The model is a graph, and calibrated on images. */
export const ofGraph: ReadCondition = {
  ...setting<{ readonly model: string }>("", "", isGraph),
  text: "an ONNX file as the model",
  action: "give MODEL.onnx as the model",
};

/** The format that results of graphs are kept in. */
export const graphFormat = "qdq" as const satisfies FormatName;

/** The file that it is in, in a result's folder. */
export const graphFile = "model.onnx";
