/** A sentence by each of the programs that other people wrote, out of the files that crossblock wrote. */
import { readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { Tokenizer } from "../dist/checkpoint/tokenizer/tokenizer.js";
import { findPackage } from "../dist/run/verify/runtime/find-package.js";
import { openLlamaCpp } from "../dist/run/verify/runtime/llama-cpp.js";

const TOKENS = 32;

/**
 * @param {string} result a finished result with `gguf/` in it
 * @param {string | null} project where node-llama-cpp lies
 * @param {string} prompt
 * @returns {Promise<string | null>} the most likely continuation; null without the runtime
 */
export async function llamaCppSample(result, project, prompt) {
  const found = project === null ? null : findPackage("node-llama-cpp", project);
  const file = (await readdir(join(result, "gguf"))).find((name) => name.endsWith(".gguf"));
  if (found === null || file === undefined) return null;
  const tokenizer = await Tokenizer.open(result);
  const start = tokenizer.startToken === null ? [] : [tokenizer.startToken];
  const runtime = await openLlamaCpp(await import(found.entry), join(result, "gguf", file), {
    threads: availableParallelism(),
  });
  try {
    return tokenizer.decode(await runtime.generate([...start, ...tokenizer.encode(prompt)], TOKENS));
  } finally {
    await runtime[Symbol.asyncDispose]();
  }
}

/**
 * @param {string} result a finished result with `onnx/` in it
 * @param {string} prompt
 * @returns {Promise<string | null>} the most likely continuation; null without transformers.js
 */
export async function transformersJsSample(result, prompt) {
  if (findPackage("@huggingface/transformers") === null) return null;
  const { env, pipeline } = await import("@huggingface/transformers");
  const folder = join(result, "onnx");
  Object.assign(env, { localModelPath: dirname(folder), allowRemoteModels: false, allowLocalModels: true });
  const generate = await pipeline("text-generation", basename(folder), {});
  const options = { max_new_tokens: TOKENS, do_sample: false, return_full_text: false };
  const [answer] = await generate(prompt, options);
  await generate.dispose();
  return String(Reflect.get(Object(answer), "generated_text") ?? "");
}
