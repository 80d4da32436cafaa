import { type OnnxRuntime, openOnnx } from "./onnx-runtime.js";
import { answerOnce } from "./runtime-process.js";

answerOnce(async ({ entry, file, tokens, threads }) => {
  // A CommonJS package: what it exports may lie under `default`.
  const imported = (await import(entry)) as OnnxRuntime & { readonly default?: OnnxRuntime };
  await using network = await openOnnx(imported.default ?? imported, file, { threads });
  const { logits } = await network.run({ ids: [tokens] });
  return { logits, ids: null };
});
