import { CalibrationError } from "../../errors.js";
import { ChatFormat, type ChatSource } from "../chat/chat-format.js";
import { checkCharacters } from "./bytes/utf8.js";
import type { Document } from "./document.js";
import { readJsonFile } from "./json/json-file.js";
import { readJsonLines } from "./json/json-lines.js";
import { readPlainText } from "./plain-text.js";
import type { ReadingOptions } from "./reading-options.js";
import { findTextFiles, type TextFile } from "./text-files.js";

export type { Document } from "./document.js";
export type { ReadingOptions, ReadingWarning } from "./reading-options.js";

/** About a quarter of a million tokens. */
const defaults: ReadingOptions = { wantedBytes: 1024 * 1024 };

/**
 * Reads the documents of files and folders, in the order given.
 *
 * A `.txt` file is one document, as it is. A `.jsonl` file holds one a line, a `.parquet` file one a row, a `.json` file
 * a list of them; `textOfRecord` says where their text comes from. Records and texts of white space only are left out,
 * and a warning counts them. A folder stands for all such files below it, sorted by name. Of files that are too large to
 * be read whole come parts that are evenly spread over them.
 *
 * @param chat the model's tokenizer; null refuses messages
 * @throws CalibrationError that names the file, and the line, of whatever can't be used; and for a file without text.
 */
export async function* readDocuments(
  paths: readonly string[],
  chat: ChatSource | null,
  options: ReadingOptions = defaults,
): AsyncGenerator<Document> {
  const format = new ChatFormat(chat);
  for (const file of await findTextFiles(paths)) {
    let found = 0;
    let empty = 0;
    for await (const document of readers[file.kind](file, format, options)) {
      if (document.text.trim() === "") {
        empty++;
        continue;
      }
      checkCharacters(document.text, document.source);
      found++;
      yield document;
    }
    if (found === 0) {
      throw new CalibrationError({
        what: "there is no text in this file",
        where: file.path,
        ...(empty > 0 && file.kind !== ".txt" && { why: `the fields of all ${empty} records are null or empty` }),
        next: "write text into it, or leave it out of what is given",
      });
    }
    if (empty > 0) {
      options.onWarning?.({
        what: `${empty} of ${found + empty} records have no text and are left out: their fields are null or empty`,
        where: file.path,
        next: "nothing to do, if that was to be expected",
      });
    }
  }
}

type Reader = (file: TextFile, chat: ChatFormat, options: ReadingOptions) => AsyncGenerator<Document>;

const readers: Readonly<Record<TextFile["kind"], Reader>> = {
  ".txt": (file, _chat, options) => {
    if (options.column === undefined) return readPlainText(file, options);
    throw new CalibrationError({
      what: `there is no column "${options.column}"`,
      where: file.path,
      why: "plain text has no columns",
      next: "leave the column out",
    });
  },
  ".jsonl": readJsonLines,
  ".json": readJsonFile,
  ".parquet": async function* ({ path }, chat, { column }) {
    // Its libraries are forty modules, which no other text needs.
    const { readParquetRows } = await import("./parquet-rows.js");
    yield* readParquetRows(path, chat, column);
  },
};
