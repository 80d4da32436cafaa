import { readFile } from "node:fs/promises";
import { CalibrationError } from "../errors.js";
import { ChatFormat, type ChatSource } from "./chat-format.js";
import { textOfJsonLine } from "./json-document.js";
import { readLines } from "./read-lines.js";
import { findTextFiles, type TextFile, unreadable } from "./text-files.js";
import { decodeUtf8 } from "./utf8.js";

/** One text that stands for itself: it gets a start token of its own. */
export interface Document {
  readonly text: string;
  /** Where it came from: `file`, or `file:line`. */
  readonly source: string;
}

/**
 * Reads the documents of files and folders, in the order given.
 *
 * A `.txt` file is one document, as it is. A `.jsonl` file holds one a line: its field `text`, or its field `messages`
 * written through the model's chat template. Lines and texts of white space only are skipped. A folder stands for all
 * such files below it, sorted by name.
 *
 * @param chat the model's tokenizer; null refuses messages
 * @throws CalibrationError that names the file, and the line, of whatever can't be used; and for a file without text.
 */
export async function* readDocuments(paths: readonly string[], chat: ChatSource | null): AsyncGenerator<Document> {
  const format = new ChatFormat(chat);
  for (const file of await findTextFiles(paths)) {
    let empty = true;
    for await (const document of readers[file.kind](file.path, format)) {
      if (document.text.trim() === "") continue;
      empty = false;
      yield document;
    }
    if (empty) {
      throw new CalibrationError({
        what: "there is no text in this file",
        where: file.path,
        next: "fill or remove it",
      });
    }
  }
}

const readers: Readonly<Record<TextFile["kind"], (path: string, chat: ChatFormat) => AsyncGenerator<Document>>> = {
  ".txt": readText,
  ".jsonl": readJsonLines,
};

async function* readText(path: string): AsyncGenerator<Document> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  yield { text: decodeUtf8(bytes, path), source: path };
}

async function* readJsonLines(path: string, chat: ChatFormat): AsyncGenerator<Document> {
  for await (const { number, bytes } of readLines(path)) {
    const source = `${path}:${number}`;
    const line = decodeUtf8(bytes, source);
    if (line.trim() !== "") yield { text: textOfJsonLine(line, chat, source), source };
  }
}
