import type { JsonObject } from "../../../checkpoint/json/json.js";
import { textTemplate } from "../../../checkpoint/tokenizer/text-template.js";
import type { TokenizerFile } from "./tokenizer-file.js";

/** What a tokenizer puts around a text, as far as llama.cpp can be told: the start token before it, the end token after it. */
export interface TokensAround {
  readonly before: boolean;
  readonly after: boolean;
  /** What llama.cpp can't be told: whole sentences. */
  readonly notes: readonly string[];
}

/**
 * Reads the `post_processor`; where there is none, the settings `add_bos_token` and `add_eos_token`.
 *
 * @param ids of the special tokens by role: `bos`, `eos`
 */
export function tokensAround(
  file: TokenizerFile,
  settings: JsonObject,
  ids: ReadonlyMap<string, number>,
): TokensAround {
  const template = textTemplate(file.postProcessor);
  if (template === null) {
    return { before: settings["add_bos_token"] === true, after: settings["add_eos_token"] === true, notes: [] };
  }
  const idOf = new Map([
    ...Object.entries(file.vocabulary),
    ...file.addedTokens.map(({ content, id }) => [content, id] as const),
  ]);
  const isRole = (role: string, tokens: readonly string[]): boolean =>
    tokens.length === 1 && ids.get(role) !== undefined && idOf.get(tokens[0] ?? "") === ids.get(role);
  const note = (where: string, tokens: readonly string[], role: string): string =>
    `The tokenizer puts ${tokens.map((token) => JSON.stringify(token)).join(" ")} ${where} a text; llama.cpp can only be told of the ` +
    `${role} token, and puts nothing there.`;
  const before = isRole("bos", template.before);
  const after = isRole("eos", template.after);
  return {
    before,
    after,
    notes: [
      ...(template.before.length > 0 && !before ? [note("before", template.before, "start")] : []),
      ...(template.after.length > 0 && !after ? [note("behind", template.after, "end")] : []),
    ],
  };
}
