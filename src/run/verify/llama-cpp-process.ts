import { type LlamaCppPackage, openLlamaCpp } from "./llama-cpp.js";

/** What the process is asked for: one file, once. */
export interface LlamaCppRequest {
  /** The package's entry file, for `import()`. */
  readonly entry: string;
  readonly file: string;
  readonly tokens: readonly number[];
  readonly vocabulary: number;
  /** To be cut into tokens as well. */
  readonly text: string;
  readonly threads: number;
}

export type LlamaCppReply =
  | { readonly logits: Float32Array; readonly ids: readonly number[] }
  | { readonly error: string };

// llama.cpp runs in a process of its own: a file that it can't digest may end it, and must not end crossblock.
process.once("message", async (request: LlamaCppRequest) => {
  const reply = await run(request).catch(
    (error: unknown): LlamaCppReply => ({ error: error instanceof Error ? error.message : String(error) }),
  );
  process.send?.(reply, undefined, undefined, () => process.exit(0));
});

async function run({ entry, file, tokens, vocabulary, text, threads }: LlamaCppRequest): Promise<LlamaCppReply> {
  const llamaCpp = (await import(entry)) as LlamaCppPackage;
  await using runtime = await openLlamaCpp(llamaCpp, file, { threads });
  return { logits: await runtime.logits(tokens, vocabulary), ids: runtime.tokenize(text) };
}
