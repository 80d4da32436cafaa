import { FormatError } from "../../../errors.js";
import type { GgufValue } from "../file/layout.js";
import type { TokenizerFile } from "./tokenizer-file.js";

/** `tokenizer.ggml.token_type`. */
export const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, user: 4, unused: 5, byte: 6 } as const;

/** Every row of the embedding with its text and type. */
export interface Vocabulary {
  readonly tokens: string[];
  readonly types: number[];
}

/**
 * Token texts and types by id, up to the `size` rows of the embedding: the model's vocabulary, then added
 * tokens over it (special ones are control tokens), and `[PADi]` where an id has no token. Added tokens beyond the rows are left out.
 */
export function vocabularyOf(file: TokenizerFile, size: number, where: string): Vocabulary {
  const tokens: string[] = new Array<string>(size).fill("");
  const types: number[] = new Array<number>(size).fill(TOKEN_TYPES.unused);
  for (const [token, id] of Object.entries(file.vocabulary)) {
    if (id >= size) {
      throw new FormatError({
        what: `token ${JSON.stringify(token)} has the id ${id}, but the embedding has ${size} rows`,
        where,
        next: "use the tokenizer.json that belongs to this model",
      });
    }
    tokens[id] = token;
    types[id] = TOKEN_TYPES.normal;
  }
  const kept = file.addedTokens.filter(({ id }) => id < size);
  for (const { id, content, special } of kept) {
    tokens[id] = content;
    types[id] = special ? TOKEN_TYPES.control : TOKEN_TYPES.user;
  }
  const taken = new Set(tokens);
  const padded = tokens.map((token, id) => {
    if (types[id] !== TOKEN_TYPES.unused) return token;
    // Two tokens of one text are one in llama.cpp.
    let text = `[PAD${id}]`;
    while (taken.has(text)) text = `[${text}]`;
    return text;
  });
  return { tokens: padded, types };
}

/** The keys that hold tokens and types. */
export function vocabularyKeys({ tokens, types }: Vocabulary): [string, GgufValue][] {
  return [
    ["tokenizer.ggml.tokens", { type: "array", element: "string", values: tokens }],
    ["tokenizer.ggml.token_type", { type: "array", element: "i32", values: types }],
  ];
}
