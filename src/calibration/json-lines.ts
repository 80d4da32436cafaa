import { clip } from "../checkpoint/json.js";
import { CalibrationError } from "../errors.js";
import type { ChatFormat } from "./chat-format.js";
import type { Document } from "./document.js";
import { readLines } from "./read-lines.js";
import { isRecord, type TextRecord, textOfRecord } from "./record-text.js";
import { decodeUtf8 } from "./utf8.js";

/**
 * The documents of a `.jsonl` file: one a line, empty lines skipped.
 *
 * @throws CalibrationError that names the line that is not UTF-8, no JSON object, or without text.
 */
export async function* readJsonLines(path: string, chat: ChatFormat): AsyncGenerator<Document> {
  for await (const { number, bytes } of readLines(path)) {
    const source = `${path}:${number}`;
    const line = decodeUtf8(bytes, source);
    if (line.trim() !== "") yield { text: textOfRecord(parseRecord(line, source), chat, source), source };
  }
}

function parseRecord(line: string, where: string): TextRecord {
  let value: unknown;
  let cause: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    cause = error;
  }
  if (isRecord(value)) return value;
  throw new CalibrationError({
    what: cause === undefined ? "the line is no JSON object" : "the line is not valid JSON",
    where,
    // V8 may quote the line, and a document may be long: its number says enough.
    ...(cause instanceof Error && { why: clip(cause.message) }),
    next: "write one JSON object a line; plain text belongs into a .txt file",
    cause,
  });
}
