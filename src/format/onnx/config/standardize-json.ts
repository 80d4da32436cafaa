import { join } from "node:path";
import { writeFileAtomically } from "../../../checkpoint/file-system/write-file-atomically.js";
import { standardJson } from "../../../checkpoint/json/json-text.js";
import { ModelFolder } from "../../../checkpoint/model-folder.js";

/** What transformers.js reads beside `config.json`. */
const read: ReadonlySet<string> = new Set([
  "tokenizer.json",
  "tokenizer_config.json",
  "generation_config.json",
  "special_tokens_map.json",
]);

/** Bytes of the largest file that is looked through; tokenizers of 250,000 tokens have 35 MB. */
const MAX_BYTES = 2 ** 28;

/** Rewrites those JSON files of a folder that only Python's reader takes, so that transformers.js does. */
export async function standardizeJson(folder: string, names: readonly string[]): Promise<void> {
  const source = ModelFolder.open(folder);
  for (const name of names.filter((each) => read.has(each))) {
    const text = source.readText(name, MAX_BYTES);
    if (text === null) continue;
    const standard = standardJson(text);
    if (standard !== text) await writeFileAtomically(join(folder, name), standard);
  }
}
