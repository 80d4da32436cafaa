import { join } from "node:path";
import { z } from "zod";
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseJsonObject,
  quote,
} from "../../../checkpoint/json/json.js";
import type { ModelFolder } from "../../../checkpoint/model-folder.js";
import { type AddedToken, readAddedTokens } from "../../../checkpoint/tokenizer/added-tokens.js";
import { UnsupportedTokenizer } from "../../../checkpoint/tokenizer/unsupported-tokenizer.js";
import { FormatError, InputError } from "../../../errors.js";

const addedToken = z.object({ id: z.int().min(0), content: z.string() });

const bpeModel = z.object({
  type: z.literal("BPE").optional(),
  vocab: z.record(z.string(), z.int().min(0)),
  /** Pairs, or one string with a space between the parts in files of older versions. */
  merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  byte_fallback: z.boolean().default(false),
  ignore_merges: z.boolean().default(false),
  unk_token: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
});

/** Bytes of the largest tokenizer file that is read; those of 250,000 tokens have 35 MB. */
const MAX_FILE_BYTES = 2 ** 28;

/** A `tokenizer.json` with a BPE model, checked. */
export interface TokenizerFile {
  readonly addedTokens: readonly AddedToken[];
  readonly normalizer: JsonValue;
  readonly preTokenizer: JsonValue;
  readonly postProcessor: JsonValue;
  readonly vocabulary: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly [string, string])[];
  readonly byteFallback: boolean;
  readonly ignoreMerges: boolean;
  readonly unknownToken: string | null;
}

const OTHER_FORMATS = "use --format onnx or compressed-tensors, which carry tokenizer.json as it is";

/** Reads `tokenizer.json` of a model folder; throws a FormatError for models other than BPE. */
export function readTokenizerFile(folder: ModelFolder): TokenizerFile {
  const where = join(folder.path, "tokenizer.json");
  const file = readJsonFile(folder, "tokenizer.json");
  if (file === null) {
    throw new InputError({
      what: "no tokenizer.json in this folder",
      where: folder.path,
      why: "a GGUF file carries its tokenizer",
      next: "save the tokenizer into it with transformers (AutoTokenizer.from_pretrained(...).save_pretrained)",
    });
  }
  const model = file["model"];
  const type = isJsonObject(model) ? model["type"] : undefined;
  if (typeof type === "string" && type !== "BPE") {
    throw new FormatError({
      what: `no GGUF vocabulary for a ${type} tokenizer`,
      where,
      why: "llama.cpp's BPE and SentencePiece tokenizers would split text differently",
      next: OTHER_FORMATS,
    });
  }
  const bpe = bpeModel.safeParse(model);
  if (!bpe.success) throw unreadable(where, "model", bpe.error);
  const added = z.array(addedToken).safeParse(file["added_tokens"] ?? []);
  if (!added.success) throw unreadable(where, "added_tokens", added.error);
  requireOwnIds(bpe.data.vocab, where);
  if (bpe.data.end_of_word_suffix || bpe.data.continuing_subword_prefix) {
    throw new FormatError({
      what: "no GGUF vocabulary for a BPE with a prefix or suffix of its own for parts of words",
      where,
      why: "llama.cpp would merge without it",
      next: OTHER_FORMATS,
    });
  }
  return {
    addedTokens: addedTokensOf(file, where),
    normalizer: file["normalizer"] ?? null,
    preTokenizer: file["pre_tokenizer"] ?? null,
    postProcessor: file["post_processor"] ?? null,
    vocabulary: bpe.data.vocab,
    merges: bpe.data.merges.map((merge) => (typeof merge === "string" ? splitMerge(merge) : merge)),
    byteFallback: bpe.data.byte_fallback,
    ignoreMerges: bpe.data.ignore_merges,
    unknownToken: bpe.data.unk_token ?? null,
  };
}

function addedTokensOf(file: JsonObject, where: string): readonly AddedToken[] {
  try {
    return readAddedTokens(file);
  } catch (cause) {
    if (!(cause instanceof UnsupportedTokenizer)) throw cause;
    throw new FormatError({ what: cause.message, where, next: cause.next, cause });
  }
}

function requireOwnIds(vocabulary: Readonly<Record<string, number>>, where: string): void {
  const tokens = new Map<number, string>();
  for (const [token, id] of Object.entries(vocabulary)) {
    const other = tokens.get(id);
    if (other !== undefined) {
      throw new FormatError({
        what: `the tokens ${quote(other)} and ${quote(token)} have one id, ${id}`,
        where,
        why: "a GGUF file has one text for an id",
        next: OTHER_FORMATS,
      });
    }
    tokens.set(id, token);
  }
}

/** A JSON file of the model folder; null when there is none. */
export function readJsonFile(folder: ModelFolder, name: string): JsonObject | null {
  const text = folder.readText(name, MAX_FILE_BYTES);
  return text === null ? null : parseJsonObject(text, join(folder.path, name));
}

function splitMerge(merge: string): readonly [string, string] {
  const space = merge.indexOf(" ", 1);
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function unreadable(where: string, part: string, error: z.ZodError): FormatError {
  const issue = error.issues[0];
  return new FormatError({
    what: `not a file of the tokenizers library: ${[part, ...(issue?.path ?? [])].join(".")}: ${issue?.message ?? ""}`,
    where,
    next: "save the tokenizer again with transformers (AutoTokenizer, save_pretrained)",
    cause: error,
  });
}
