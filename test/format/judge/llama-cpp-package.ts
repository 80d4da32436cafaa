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

type Llama = Awaited<ReturnType<LlamaCppPackage["getLlama"]>>;
type Model = Awaited<ReturnType<Llama["loadModel"]>> & { dispose(): Promise<void> };

const begun = new Map<string, Promise<Llama>>();

/**
 * node-llama-cpp, or null where it is not installed. What begins for the first file serves all: for each beginning the package
 * starts a process that tries its binary, which takes longer than what is judged here.
 */
export async function importLlamaCpp(): Promise<LlamaCppPackage | null> {
  if (llamaCppEntry === null) return null;
  let found: LlamaCppPackage;
  try {
    found = (await import(llamaCppEntry)) as LlamaCppPackage;
  } catch {
    return null;
  }
  return {
    async getLlama(options) {
      const key = JSON.stringify(options);
      const one = begun.get(key) ?? found.getLlama(options);
      begun.set(key, one);
      const llama = await one;
      const models: Model[] = [];
      return {
        async loadModel(given) {
          const model = (await llama.loadModel(given)) as Model;
          models.push(model);
          return model;
        },
        async dispose() {
          for (const model of models) await model.dispose();
        },
      };
    },
  };
}

/** A folder from which node-llama-cpp is found as from a user's project; null where it is not installed. */
export function llamaCppProject(): string | null {
  if (llamaCppEntry === null) return null;
  const file = llamaCppEntry.startsWith("file:") ? fileURLToPath(llamaCppEntry) : llamaCppEntry;
  return file.slice(0, file.lastIndexOf("node_modules"));
}
