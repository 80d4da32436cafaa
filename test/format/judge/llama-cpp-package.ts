import { fileURLToPath } from "node:url";
import { LLAMA_CPP_PROJECT } from "../../../scripts/fetch/fetch-llama-cpp.mjs";
import { findPackage } from "../../../src/run/verify/runtime/find-package.js";
import type { LlamaCppPackage } from "../../../src/run/verify/runtime/llama-cpp.js";

/**
 * The entry file that `CROSSBLOCK_JUDGE_LLAMA_CPP` names, else that of the package where `npm run quickstart` or
 * `scripts/fetch/fetch-llama-cpp.mjs` put it, else where it is installed; or null.
 */
export const llamaCppEntry =
  process.env["CROSSBLOCK_JUDGE_LLAMA_CPP"] ?? findPackage("node-llama-cpp", LLAMA_CPP_PROJECT)?.entry ?? null;

/** node-llama-cpp, or null where it is not installed. */
export async function importLlamaCpp(): Promise<LlamaCppPackage | null> {
  if (llamaCppEntry === null) return null;
  try {
    return (await import(llamaCppEntry)) as LlamaCppPackage;
  } catch {
    return null;
  }
}

/** A folder from which node-llama-cpp is found as from a user's project; null where it is not installed. */
export function llamaCppProject(): string | null {
  if (llamaCppEntry === null) return null;
  const file = llamaCppEntry.startsWith("file:") ? fileURLToPath(llamaCppEntry) : llamaCppEntry;
  return file.slice(0, file.lastIndexOf("node_modules"));
}
