import { folderExporter } from "../folder-exporter.js";
import { isAwq, openAwq } from "./read.js";
import { awqTensors, writeAwq } from "./write.js";

/** A folder for vLLM, transformers and mlx-lm. */
export const awqExporter = folderExporter({
  folder: "awq",
  recognises: isAwq,
  tensors: awqTensors,
  notes: () => [],
  write: writeAwq,
  open: openAwq,
});
