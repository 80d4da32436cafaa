import { FormatError } from "../../errors.js";
import type { GgufValue } from "./layout.js";
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
 * tokens over it (special ones are control tokens), and `[PADi]` where an id has no token.
 */
export function vocabularyOf(file: TokenizerFile, size: number, where: string): Vocabulary {
  const tokens: string[] = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const types: number[] = new Array<number>(size).fill(TOKEN_TYPES.unused);
  const put = (id: number, token: string, type: number): void => {
    if (id >= size) {
      throw new FormatError({
        what: `token ${JSON.stringify(token)} has the id ${id}, but the embedding has ${size} rows`,
        where,
        next: "use the tokenizer.json that belongs to this model",
      });
    }
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(file.vocabulary)) put(id, token, TOKEN_TYPES.normal);
  for (const { id, content, special } of file.addedTokens) {
    put(id, content, special ? TOKEN_TYPES.control : TOKEN_TYPES.user);
  }
  return { tokens, types };
}

/** The keys that hold tokens and types. */
export function vocabularyKeys({ tokens, types }: Vocabulary): [string, GgufValue][] {
  return [
    ["tokenizer.ggml.tokens", { type: "array", element: "string", values: tokens }],
    ["tokenizer.ggml.token_type", { type: "array", element: "i32", values: types }],
  ];
}
