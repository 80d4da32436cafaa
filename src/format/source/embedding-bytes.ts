import { CrossblockError } from "../../errors.js";
import type { ExportSource } from "../contract/export-source.js";
import { sourceSpec } from "./source-spec.js";

/**
 * Bytes of those planned tensors that hold the embedding, and the head where it is a matrix of its own; 0 for a network that
 * crossblock does not compute.
 *
 * @param planned by the name of the tensor in the source
 */
export function embeddingBytes(
  source: Pick<ExportSource, "config" | "plain">,
  planned: readonly { readonly source: string; readonly byteLength: number }[],
): number {
  const modules = outerModules(source);
  return planned
    .filter(({ source: name }) => modules.some((module) => name === module || name.startsWith(`${module}.`)))
    .reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function outerModules(source: Pick<ExportSource, "config" | "plain">): readonly string[] {
  try {
    const { names, tied } = sourceSpec(source);
    return tied ? [names.embedding] : [names.embedding, names.head];
  } catch (error) {
    if (error instanceof CrossblockError) return [];
    throw error;
  }
}
