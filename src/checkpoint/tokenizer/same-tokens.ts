import { join } from "node:path";
import { CheckpointError } from "../../errors.js";
import { quote } from "../json/json.js";
import type { Tokenizer } from "./tokenizer.js";

/**
 * Refuses two tokenizers by which the same ids mean different text: another vocabulary, other special tokens, or another
 * start token. How they cut a text into these ids may differ.
 *
 * @throws CheckpointError that names the first difference
 */
export function requireSameTokens(
  tokenizer: Tokenizer,
  other: Tokenizer,
  folders: { readonly folder: string; readonly other: string },
): void {
  const difference = differenceOf(tokenizer, other);
  if (difference === null) return;
  throw new CheckpointError({
    what: "the two models have different tokens",
    where: `${join(folders.folder, "tokenizer.json")} and ${join(folders.other, "tokenizer.json")}`,
    why: difference,
    next: "give the model that was quantized, or another with the same tokenizer",
  });
}

function differenceOf(a: Tokenizer, b: Tokenizer): string | null {
  const shown = (of: Tokenizer, id: number | null | undefined): string =>
    id === null || id === undefined ? "none" : `${id} (${quote(of.tokenText(id) ?? "")})`;
  if (a.startToken !== b.startToken) {
    return `the start token is ${shown(a, a.startToken)} and ${shown(b, b.startToken)}`;
  }
  if (a.hash === b.hash) return null;
  if (a.vocabSize !== b.vocabSize) return `they have ${a.vocabSize} and ${b.vocabSize} ids`;
  for (let id = 0; id < a.vocabSize; id++) {
    if (a.tokenText(id) !== b.tokenText(id))
      return `id ${id} is ${quote(a.tokenText(id) ?? "")} and ${quote(b.tokenText(id) ?? "")}`;
  }
  for (const token of new Set([...a.specialTokens.keys(), ...b.specialTokens.keys()])) {
    const [ours, theirs] = [a.specialTokens.get(token), b.specialTokens.get(token)];
    if (ours !== theirs) return `the special token ${quote(token)} is ${shown(a, ours)} and ${shown(b, theirs)}`;
  }
  return null;
}
