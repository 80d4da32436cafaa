import { folderExporter } from "../folder-exporter.js";
import { isGptq, openGptq } from "./read.js";
import { gptqTensors, writeGptq } from "./write.js";

/** A folder for vLLM, GPTQModel and transformers. */
export const gptqExporter = folderExporter({
  folder: "gptq",
  recognises: isGptq,
  tensors: (source) => gptqTensors(source).tensors,
  notes: () => [],
  write: writeGptq,
  open: openGptq,
});
