import { type LlamaCppPackage, openLlamaCpp } from "./llama-cpp.js";
import { answerOnce } from "./runtime-process.js";

answerOnce(async ({ entry, file, tokens, vocabulary, texts, threads }) => {
  const llamaCpp = (await import(entry)) as LlamaCppPackage;
  await using runtime = await openLlamaCpp(llamaCpp, file, { threads });
  return { logits: await runtime.logits(tokens, vocabulary), ids: texts.map((text) => runtime.tokenize(text, true)) };
});
