import { folderExporter } from "../folder-exporter.js";
import { expertsUnread } from "../transformers-unread.js";
import { isAwq, openAwq } from "./read.js";
import { awqTensors, writeAwq } from "./write.js";

/** A folder for vLLM, transformers and mlx-lm. */
export const awqExporter = folderExporter({
  folder: "awq",
  recognises: isAwq,
  tensors: awqTensors,
  notes: (source) => expertsUnread(source, "an AWQ"),
  write: writeAwq,
  open: openAwq,
});
