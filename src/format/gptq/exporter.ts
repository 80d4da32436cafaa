import type { ExportSource } from "../contract/export-source.js";
import { folderExporter } from "../folder-exporter.js";
import { hasExperts, unreadByTransformers } from "../transformers-unread.js";
import { isGptq, openGptq } from "./read.js";
import { gptqTensors, writeGptq } from "./write.js";

/** A folder for vLLM, GPTQModel and transformers. */
export const gptqExporter = folderExporter({
  folder: "gptq",
  recognises: isGptq,
  tensors: (source) => gptqTensors(source).tensors,
  notes: gptqNotes,
  write: writeGptq,
  open: openGptq,
});

/** What to know of a folder. That of experts was found by running transformers 5 (`bench/judge/compare-logits.mjs`). */
export function gptqNotes({ linears }: Pick<ExportSource, "linears">): readonly string[] {
  return hasExperts(linears.keys()) ? [unreadByTransformers("experts from a GPTQ folder")] : [];
}
