import type { ChatFormat } from "./chat-format.js";
import type { Document } from "./document.js";
import { parseRecord } from "./parse-record.js";
import { readLines } from "./read-lines.js";
import { textOfRecord } from "./record-text.js";
import { decodeUtf8 } from "./utf8.js";

const next = "write one JSON object a line; plain text belongs into a .txt file";

/**
 * The documents of a `.jsonl` file: one a line, empty lines skipped.
 *
 * @throws CalibrationError that names the line that is not UTF-8, no JSON object, or without text.
 */
export async function* readJsonLines(path: string, chat: ChatFormat): AsyncGenerator<Document> {
  for await (const { number, bytes } of readLines(path)) {
    const source = `${path}:${number}`;
    const line = decodeUtf8(bytes, source);
    if (line.trim() !== "") yield { text: textOfRecord(parseRecord(line, source, next), chat, source), source };
  }
}
