import { folderExporter } from "../folder-exporter.js";
import { expertsUnread } from "../transformers-unread.js";
import { isGptq, openGptq } from "./read.js";
import { gptqTensors, writeGptq } from "./write.js";

/** A folder for vLLM, GPTQModel and transformers. */
export const gptqExporter = folderExporter({
  folder: "gptq",
  recognises: isGptq,
  tensors: (source) => gptqTensors(source).tensors,
  notes: (source) => expertsUnread(source, "a GPTQ"),
  write: writeGptq,
  open: openGptq,
});
