import { isJsonObject, type JsonValue } from "../../../checkpoint/json/json.js";
import { FormatError } from "../../../errors.js";
import type { GgufValue } from "../file/layout.js";
import { preTokenizerName } from "./pre-tokenizers.js";
import type { TokenizerFile } from "./tokenizer-file.js";
import { vocabularyKeys, vocabularyOf } from "./vocabulary.js";

/** The keys of a byte-level BPE tokenizer (GPT-2's alphabet): llama.cpp's model `gpt2`. */
export function byteLevelTokenizer(file: TokenizerFile, size: number, where: string): Map<string, GgufValue> {
  refuseNormalizer(file.normalizer, where);
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
    ["tokenizer.ggml.pre", { type: "string", value: preTokenizerName(file, where) }],
    ...vocabularyKeys(vocabularyOf(file, size, where)),
    ["tokenizer.ggml.merges", { type: "array", element: "string", values: file.merges.map(mergeLine) }],
  ]);
}

/** `left right`; a space inside a part takes the alphabet's sign for a space, since the first space divides. */
function mergeLine([left, right]: readonly [string, string]): string {
  return `${left.replaceAll(" ", "\u0120")} ${right.replaceAll(" ", "\u0120")}`;
}

/** llama.cpp normalizes nothing here. NFC (Qwen) changes only text that is not composed yet, as upstream accepts. */
function refuseNormalizer(normalizer: JsonValue, where: string): void {
  if (normalizer === null) return;
  if (isJsonObject(normalizer) && normalizer["type"] === "NFC") return;
  throw new FormatError({
    what: `llama.cpp can't apply this normalizer: ${JSON.stringify(normalizer)}`,
    where,
    next: "use --format onnx or compressed-tensors, which carry tokenizer.json as it is",
  });
}
