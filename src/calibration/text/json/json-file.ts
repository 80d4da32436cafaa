import { clip } from "../../../checkpoint/json/json.js";
import { CalibrationError } from "../../../errors.js";
import type { ChatFormat } from "../../chat/chat-format.js";
import { isDict, isList, type Value } from "../../chat/jinja/values.js";
import { readBytes } from "../bytes/read-bytes.js";
import { decodeUtf8, longestText } from "../bytes/utf8.js";
import type { Document } from "../document.js";
import type { ReadingOptions } from "../reading-options.js";
import { documentOfRecord } from "../record-text.js";
import type { TextFile } from "../text-files.js";
import { parseExactJson } from "./exact-json.js";
import { readJsonLines } from "./json-lines.js";

/**
 * The documents of a `.json` file: a list of records, or, as many data sets have it under this name, one record a line.
 *
 * @throws CalibrationError that names the record that has another form, and for a list that no string can hold.
 */
export async function* readJsonFile(
  file: TextFile,
  chat: ChatFormat,
  options: ReadingOptions,
): AsyncGenerator<Document> {
  const { path } = file;
  const chunks: Buffer[] = [];
  let length = 0;
  let isList = false;
  for await (const chunk of readBytes(path, file.packing)) {
    if (length === 0 && !startsList(chunk)) break;
    isList = true;
    chunks.push(chunk);
    length += chunk.length;
    if (length > longestText) throw tooLong(length, path);
  }
  if (!isList) yield* readJsonLines(file, chat, options);
  else yield* recordsOf(decodeUtf8(Buffer.concat(chunks), path), path, chat, options);
}

function startsList(bytes: Uint8Array): boolean {
  const start = new TextDecoder().decode(bytes.subarray(0, 4096)).trimStart();
  return start.startsWith("[");
}

function* recordsOf(text: string, path: string, chat: ChatFormat, options: ReadingOptions): Generator<Document> {
  let records: Value;
  try {
    records = parseExactJson(text);
  } catch (cause) {
    throw new CalibrationError({
      what: "the file is not valid JSON",
      where: path,
      ...(cause instanceof Error && { why: clip(cause.message) }),
      next: "write a list of objects, or one object a line to a .jsonl file",
      cause,
    });
  }
  if (!isList(records)) return;
  for (const [i, record] of records.entries()) {
    const source = `${path}, record ${i + 1}`;
    if (!isDict(record)) {
      throw new CalibrationError({
        what: "the record is no JSON object",
        where: source,
        next: 'write {"text": "..."} or {"messages": [...]} for each',
      });
    }
    yield documentOfRecord(record, chat, source, options);
  }
}

function tooLong(bytes: number, path: string): CalibrationError {
  return new CalibrationError({
    what: `more than ${Math.floor(bytes / 1e6)} MB in one JSON list; at most ${longestText / 1e6} MB are read`,
    where: path,
    next: "write its records one a line to a .jsonl file, which may have any size: `jq -c '.[]' OLD.json > NEW.jsonl`",
  });
}
