import { fetchLlamaCpp } from "../scripts/fetch-llama-cpp.mjs";

/** Before all tests: llama.cpp, which judges GGUF files. Without a registry those tests are skipped. */
export default async function fetchJudges(): Promise<void> {
  try {
    await fetchLlamaCpp();
  } catch (error) {
    console.warn(`${error instanceof Error ? error.message : String(error)}\nTests that need llama.cpp are skipped.`);
  }
}
