import { Tokenizer as Implementation } from "@huggingface/tokenizers";
import { CalibrationError, CheckpointError } from "../../errors.js";
import { clip, isJsonObject, type JsonObject, type JsonValue, quote } from "../json/json.js";
import { ModelFolder } from "../model-folder.js";
import { type AddedToken, AddedTokenSplitter, readAddedTokens } from "./added-tokens.js";
import { normalizerOf } from "./normalizer.js";
import { textTemplate } from "./text-template.js";
import { readTokenizerFiles, type TokenizerFiles } from "./tokenizer-files.js";
import { tokenizerForJavaScript } from "./tokenizer-rules.js";
import { tokensWithoutRow } from "./tokens-without-row.js";
import { UnsupportedTokenizer } from "./unsupported-tokenizer.js";
import { type LibraryModel, withoutAddedTokens, wordEncoder } from "./word-model.js";

/** What is used of `@huggingface/tokenizers`, whose own declarations don't resolve under TypeScript's NodeNext rules. */
interface Library {
  readonly pre_tokenizer: ((text: string, options: { section_index: number }) => readonly string[]) | null;
  readonly model: LibraryModel;
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  id_to_token(id: number): string | undefined;
}

/** The roles that tokens have in tokenizer_config.json. */
const tokenRoles = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

/**
 * A model's tokenizer, from `tokenizer.json` and (where present) `tokenizer_config.json`, `config.json`,
 * `generation_config.json` and `chat_template.jinja`.
 */
export class Tokenizer {
  /**
   * Id with which every document starts, or null when the model has none: the `bos_token` of `tokenizer_config.json`;
   * where that file doesn't mention one, `bos_token_id` of `config.json` or `generation_config.json`.
   */
  readonly startToken: number | null;
  /**
   * The start token where the tokenizer puts it in front of every text by itself, as those of Llama and Gemma do, else null.
   * Such a model has seen no text without it, and computes something else without.
   */
  readonly sequenceStart: number | null;
  /** Ids that end a document: all that `generation_config.json` or else `config.json` names, or else the `eos_token`. */
  readonly eosTokens: readonly number[];
  /** Ids that end a generated text: `eosTokens`, and the `eos_token` where it is another. */
  readonly endTokens: readonly number[];
  /** Largest id plus one, added tokens included. */
  readonly vocabSize: number;
  /** Ids that `encode` can give lie below: `vocabSize`, or the model's rows where it has fewer. */
  readonly idLimit: number;
  /** Added tokens for which the model has no row; empty where its rows are not known. A text that holds one is refused. */
  readonly withoutRow: readonly AddedToken[];
  /** SHA-256 of `tokenizer.json`, in hexadecimal. */
  readonly hash: string;
  /** Jinja template of `chat_template.jinja`, else of `tokenizer_config.json` (the one named "default" of several). */
  readonly chatTemplate: string | null;
  /** All added tokens, special ones and others. */
  readonly addedTokens: readonly AddedToken[];
  /** The template named "tool_use", for conversations with tools; null where there is none. */
  readonly toolTemplate: string | null;
  /** Texts of the tokens that have a role, `bos_token` and others, as a chat template sees them. */
  readonly roleTokens: ReadonlyMap<string, string>;
  /** Ids of the special tokens by their text. */
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly #implementation: Library;
  readonly #ids: (token: string) => number | undefined;
  readonly #splitter: AddedTokenSplitter;
  readonly #encodeWords: (words: readonly string[]) => number[];
  readonly #where: string;

  private constructor(implementation: Library, files: TokenizerFiles, rows: number) {
    const { tokenizer } = files;
    const added = readAddedTokens(tokenizer);
    const addedIds = new Map(added.map(({ content, id }) => [content, id]));
    const model = isJsonObject(tokenizer["model"]) ? tokenizer["model"] : {};
    withoutAddedTokens(implementation.model, model, addedIds.keys());
    this.#implementation = implementation;
    this.#ids = (token) => addedIds.get(token) ?? implementation.model.tokens_to_ids.get(token);
    this.#splitter = new AddedTokenSplitter(added, normalizerOf(tokenizer["normalizer"]));
    this.#encodeWords = wordEncoder(implementation.model, model);
    this.#where = files.where;
    this.hash = files.hash;
    this.vocabSize = Math.max(files.largestId, ...added.map(({ id }) => id)) + 1;
    this.addedTokens = added;
    this.specialTokens = new Map(added.filter(({ special }) => special).map(({ content, id }) => [content, id]));
    this.chatTemplate = files.templates.get("default") ?? null;
    this.toolTemplate = files.templates.get("tool_use") ?? null;
    this.startToken = this.#namedToken(files, "bos_token")[0] ?? null;
    this.sequenceStart = this.#putsInFront(files) ? this.startToken : null;
    this.eosTokens = this.#namedToken(files, "eos_token");
    const ending = this.#namedToken({ ...files, modelConfigs: [] }, "eos_token");
    this.endTokens = [...new Set([...this.eosTokens, ...ending])];
    const tokens = { added, largest: files.largestId, startToken: this.startToken };
    this.withoutRow = tokensWithoutRow(tokens, rows, files.where);
    this.idLimit = Math.min(this.vocabSize, rows);
    this.roleTokens = this.#roleTokens(files.config);
  }

  /**
   * @param rows of the model's embedding, where it is known
   * @throws CheckpointError when `tokenizer.json` is missing, malformed, or of a kind that can't be followed exactly, and
   *   when it belongs to a larger model: see `tokensWithoutRow`
   */
  static async open(folder: string, rows: number = Number.POSITIVE_INFINITY): Promise<Tokenizer> {
    const source = ModelFolder.open(folder);
    const files = readTokenizerFiles(source);
    try {
      const implementation: Library = new Implementation(tokenizerForJavaScript(files.tokenizer), files.config);
      return new Tokenizer(implementation, files, rows);
    } catch (cause) {
      throw cause instanceof CheckpointError ? cause : unusable(files.where, cause);
    }
  }

  /**
   * Token ids of a text. Nothing is added to them (no start token, whatever the post-processor says); special tokens
   * written out in the text become their ids, as in the Python library.
   *
   * @throws CalibrationError when the text holds a token for which the model has no row
   */
  encode(text: string): Int32Array {
    if (text === "") return new Int32Array(0);
    const parts = this.#run(() =>
      this.#splitter.split(text).map((part) => (typeof part === "number" ? [part] : this.#encodePart(part))),
    );
    const ids = Int32Array.from(parts.flat());
    if (this.withoutRow.length > 0) this.#requireRows(ids, text);
    return ids;
  }

  /** Text of token ids. Ids without a token (rows that pad the embedding) are left out. */
  decode(ids: ArrayLike<number>, options: { readonly skipSpecialTokens?: boolean } = {}): string {
    const known = Array.from(ids).filter((id) => this.#implementation.id_to_token(id) !== undefined);
    if (known.length === 0) return "";
    return this.#run(() =>
      this.#implementation.decode(known, {
        skip_special_tokens: options.skipSpecialTokens ?? false,
        // The default of the Python library since version 5; the JavaScript one would alter " ." and " n't".
        clean_up_tokenization_spaces: false,
      }),
    );
  }

  /** The token of an id as the vocabulary spells it (byte-level tokens look like "Ġthe"), or null. */
  tokenText(id: number): string | null {
    return this.#implementation.id_to_token(id) ?? null;
  }

  /** As the post-processor says, or, where there is none, tokenizer_config.json. */
  #putsInFront({ tokenizer, config }: TokenizerFiles): boolean {
    const template = textTemplate(tokenizer["post_processor"] ?? null);
    if (template === null) return config["add_bos_token"] === true;
    const [first, ...others] = template.before;
    return first !== undefined && others.length === 0 && this.#ids(first) === this.startToken;
  }

  #encodePart({ text, first }: { readonly text: string; readonly first: boolean }): number[] {
    const { pre_tokenizer: cut } = this.#implementation;
    // What the library calls the first section of a text is what Metaspace puts a space before.
    return this.#encodeWords(cut === null ? [text] : cut(text, { section_index: first ? 0 : 1 }));
  }

  #requireRows(ids: Int32Array, text: string): void {
    const held = this.withoutRow.find(({ id }) => ids.includes(id));
    if (held === undefined) return;
    const at = Math.max(0, text.indexOf(held.content));
    throw new CalibrationError({
      what: `a text holds the token ${quote(held.content)} (id ${held.id}), for which the model has no row`,
      where: this.#where,
      why: `the text goes: ${quote(text.slice(Math.max(0, at - 20), at + held.content.length + 20))}`,
      next: "take the token out of the text, or give the model a row for it in Python: model.resize_token_embeddings(len(tokenizer))",
    });
  }

  /** Parts of `tokenizer.json` are only looked at when they are used, and can turn out malformed then. */
  #run<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw unusable(this.#where, cause);
    }
  }

  /** As tokenizer_config.json names them; start and end by id, where it doesn't mention them. */
  #roleTokens(config: JsonObject): ReadonlyMap<string, string> {
    const tokens = new Map<string, string>();
    for (const role of tokenRoles) {
      const named = config[role];
      const text = isJsonObject(named) ? named["content"] : named;
      if (typeof text === "string") tokens.set(role, text);
    }
    const byId = [
      ["bos_token", this.startToken],
      ["eos_token", this.eosTokens[0]],
    ] as const;
    for (const [role, id] of byId) {
      const text = config[role] === undefined && id !== undefined && id !== null ? this.tokenText(id) : null;
      if (text !== null) tokens.set(role, text);
    }
    return tokens;
  }

  /** Ids of the token of a role: by its text in tokenizer_config.json, or by the id in the model's configurations. */
  #namedToken({ config, modelConfigs }: TokenizerFiles, role: "bos_token" | "eos_token"): readonly number[] {
    const ids = modelConfigs.flatMap((file) => {
      const value = file[`${role}_id`];
      const list: readonly JsonValue[] = Array.isArray(value) ? value : [value ?? null];
      const numbers = list.filter((id): id is number => Number.isInteger(id) && Number(id) >= 0);
      return numbers.length > 0 ? [numbers] : [];
    });
    const named = config[role];
    const text = isJsonObject(named) ? named["content"] : named;
    const id = typeof text === "string" ? this.#ids(text) : undefined;
    if (role === "bos_token") {
      // An explicit null says that the model has no start token, even when config.json carries a default id (Qwen).
      if (named === null) return [];
      return id !== undefined ? [id] : (ids[0]?.slice(0, 1) ?? []);
    }
    return ids[0] ?? (id === undefined ? [] : [id]);
  }
}

function unusable(where: string, cause: unknown): CheckpointError {
  const unsupported = cause instanceof UnsupportedTokenizer;
  return new CheckpointError({
    what: unsupported ? "a tokenizer whose ids can't be reproduced exactly here" : "not a usable tokenizer",
    where,
    why: clip(cause instanceof Error ? cause.message : String(cause)),
    next: unsupported ? cause.next : "restore tokenizer.json from the model's source",
    cause,
  });
}
