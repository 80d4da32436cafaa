import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { CalibrationError } from "../../errors.js";
import { ChatFormat, type ChatSource } from "../chat/chat-format.js";
import { type Dict, isDict, isList } from "../chat/jinja/values.js";
import { randomOrder } from "../seeded-random.js";
import type { Document } from "../text/document.js";
import { parseDict } from "../text/parse-record.js";
import { textOfRecord } from "../text/record-text.js";

/** Tokens that all of it has at least: the tokenizers with the longest tokens write five characters with one. */
export const BUNDLED_TOKENS = 318_000;

interface BundledDocument extends Document {
  /** Prose by its sort, or what this project wrote: conversations, code and others. */
  readonly kind: string;
}

/** Works in the public domain, and what this project wrote; `text/NOTICE` says where they come from. The same from `src/` and `dist/`. */
const files = ["prose.jsonl.gz", "own.jsonl"].map((name) => new URL(`../../../text/${name}`, import.meta.url));

/** How much there is of a kind beside one that is not named here: articles are most like what models are asked to know. */
const shares: Readonly<Record<string, number>> = { article: 5 };

/**
 * The documents of the text that comes with the package. The next one is always of the kind of which there was least so
 * far for its share, so that little of it is as varied as all of it. The seed decides which of a kind come first.
 *
 * @param chat the model's tokenizer, whose template writes the conversations; without one they are plain text
 * @param characters how much is wanted: whole documents until there is as much
 */
export async function* bundledDocuments(
  chat: ChatSource | null,
  { characters, seed }: { readonly characters: number; readonly seed: number },
): AsyncGenerator<Document> {
  const all = await readAll(new ChatFormat(chat));
  const queues = [...new Set(all.map(({ kind }) => kind))].map((kind) => {
    const documents = all.filter((document) => document.kind === kind);
    const order = [...randomOrder(documents.length, documents.length, seed)];
    return { share: shares[kind] ?? 1, written: 0, documents: order.flatMap((at) => documents[at] ?? []) };
  });
  for (let written = 0; written < characters; ) {
    const [queue] = queues
      .filter(({ documents }) => documents.length > 0)
      .sort((a, b) => a.written / a.share - b.written / b.share);
    const document = queue?.documents.shift();
    if (queue === undefined || document === undefined) return;
    yield { text: document.text, source: document.source };
    queue.written += document.text.length;
    written += document.text.length;
  }
}

async function readAll(chat: ChatFormat): Promise<BundledDocument[]> {
  const found: BundledDocument[] = [];
  for (const file of files) {
    const bytes = await readFile(file);
    const text = (file.pathname.endsWith(".gz") ? await promisify(gunzip)(bytes) : bytes).toString("utf8");
    for (const [i, line] of text.trimEnd().split("\n").entries()) {
      const where = `${file.pathname}:${i + 1}`;
      const record = parseDict(line, where, "install the package again");
      found.push({ kind: String(record.get("kind")), text: textOf(record, chat, where), source: where });
    }
  }
  return found;
}

function textOf(record: Dict, chat: ChatFormat, where: string): string {
  const messages = record.get("messages");
  if (messages === undefined || !isList(messages)) return textOfRecord(record, chat, where) ?? "";
  try {
    if (chat.hasTemplate) return textOfRecord(record, chat, where) ?? "";
  } catch (error) {
    // A template that refuses these messages: nobody asked for them, and they are text without it too.
    if (!(error instanceof CalibrationError)) throw error;
  }
  const turns = [...messages].filter(isDict);
  return turns
    .map((turn) => `${turn.get("role") === "user" ? "User" : "Assistant"}: ${turn.get("content")}`)
    .join("\n\n");
}
