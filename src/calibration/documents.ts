import { readFile } from "node:fs/promises";
import { CalibrationError } from "../errors.js";
import { ChatFormat, type ChatSource } from "./chat-format.js";
import type { Document } from "./document.js";
import { readJsonLines } from "./json-lines.js";
import { readParquetRows } from "./parquet-rows.js";
import { findTextFiles, type TextFile, unreadable } from "./text-files.js";
import { decodeUtf8 } from "./utf8.js";

export type { Document } from "./document.js";

/**
 * Reads the documents of files and folders, in the order given.
 *
 * A `.txt` file is one document, as it is. A `.jsonl` file holds one a line: its field `text`, or its field `messages`
 * written through the model's chat template; a `.parquet` file the same, one a row. Lines, rows and texts of white space
 * only are skipped. A folder stands for all such files below it, sorted by name.
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
  ".parquet": readParquetRows,
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
