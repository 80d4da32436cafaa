import type { ChatFormat } from "../../chat/chat-format.js";
import { fileSections } from "../bytes/file-sections.js";
import type { ByteRange } from "../bytes/read-bytes.js";
import { readLines } from "../bytes/read-lines.js";
import { decodeUtf8 } from "../bytes/utf8.js";
import type { Document } from "../document.js";
import { parseDict } from "../parse-record.js";
import type { ReadingOptions } from "../reading-options.js";
import { documentOfRecord } from "../record-text.js";
import type { TextFile } from "../text-files.js";

/** Bytes of a `.jsonl` file up to which all of it is read. */
const longestLines = 512 * 1024 * 1024;
const next = "write one JSON object a line; plain text belongs into a .txt file";

/**
 * The documents of a `.jsonl` file: one a line, lines of white space skipped. Of a file of more than 512 MiB come the
 * lines of sections that are evenly spread over it, and a warning says so.
 *
 * @returns documents whose text is empty for records without any
 * @throws CalibrationError that names the line that is not UTF-8, no JSON object, or of another form.
 */
export async function* readJsonLines(
  file: TextFile,
  chat: ChatFormat,
  options: ReadingOptions,
): AsyncGenerator<Document> {
  const { path, packing, size } = file;
  if (packing !== null || size <= (options.longestLines ?? longestLines)) {
    yield* documentsOf(file, chat, options);
    return;
  }
  const sections = await fileSections(path, size, options.wantedBytes, "lines");
  const megabytes = sections.reduce((sum, { start, end }) => sum + end - start, 0) / 1e6;
  options.onWarning?.({
    what: `${Math.round(size / 1e6)} MB in one file: lines from ${sections.length} places of it are read, ${megabytes.toFixed(1)} MB, evenly spread`,
    where: path,
    next: "nothing to do; to read all of it, split it with `split -C 500M --additional-suffix=.jsonl`",
  });
  for (const section of sections) yield* documentsOf(file, chat, options, section);
}

async function* documentsOf(
  { path, packing }: TextFile,
  chat: ChatFormat,
  options: ReadingOptions,
  range?: ByteRange,
): AsyncGenerator<Document> {
  for await (const { number, bytes } of readLines(path, packing, range)) {
    const source = range === undefined ? `${path}:${number}` : `${path}, line ${number} from byte ${range.start + 1}`;
    const line = decodeUtf8(bytes, source);
    if (line.trim() === "") continue;
    yield documentOfRecord(parseDict(line, source, next), chat, source, options);
  }
}
