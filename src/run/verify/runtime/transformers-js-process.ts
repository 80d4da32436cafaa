import { answerOnce } from "./runtime-process.js";

/** The part of `@huggingface/transformers` that is used. */
interface TransformersJs {
  readonly env: { allowRemoteModels: boolean; allowLocalModels: boolean };
  readonly AutoTokenizer: {
    from_pretrained(
      folder: string,
      options: { readonly local_files_only: true },
    ): Promise<{ encode(text: string, options: { readonly add_special_tokens: false }): readonly number[] }>;
  };
}

answerOnce(async ({ entry, file, texts }) => {
  const { env, AutoTokenizer } = (await import(entry)) as TransformersJs;
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  const tokenizer = await AutoTokenizer.from_pretrained(file, { local_files_only: true });
  const ids = texts.map((text) => [...tokenizer.encode(text, { add_special_tokens: false })]);
  return { logits: new Float32Array(0), ids };
});
