import { fileSections } from "./bytes/file-sections.js";
import { readBytes } from "./bytes/read-bytes.js";
import { decodeUtf8, tooLong } from "./bytes/utf8.js";
import type { Document } from "./document.js";
import type { ReadingOptions } from "./reading-options.js";
import type { TextFile } from "./text-files.js";

/** Bytes of a `.txt` file up to which it is one document. A tokenizer takes thirty times as much memory. */
export const longestPlainText = 64 * 1024 * 1024;

/**
 * The document of a `.txt` file. A file of more than 64 MiB is too long for one: then sections come, evenly spread over
 * it, each a document, and a warning says so.
 *
 * @throws CalibrationError when the file can't be read or is not UTF-8.
 */
export async function* readPlainText(file: TextFile, options: ReadingOptions): AsyncGenerator<Document> {
  const { path, packing, size } = file;
  const limit = options.longestPlainText ?? longestPlainText;
  if (packing !== null || size <= limit) {
    yield { text: await wholeText(file, limit), source: path };
    return;
  }
  const sections = await fileSections(path, size, options.wantedBytes);
  const bytes = sections.reduce((sum, { start, end }) => sum + end - start, 0);
  options.onWarning?.({
    what: `${Math.round(size / 1e6)} MB in one file: ${sections.length} sections of it are read, ${(bytes / 1e6).toFixed(1)} MB, evenly spread`,
    where: path,
    next: "nothing to do; to read all of it, split it with `split -C 50M --additional-suffix=.txt`",
  });
  for (const section of sections) {
    const source = `${path}, from byte ${section.start + 1}`;
    const chunks: Buffer[] = [];
    for await (const chunk of readBytes(path, null, section)) chunks.push(chunk);
    yield { text: decodeUtf8(Buffer.concat(chunks), source), source };
  }
}

async function wholeText({ path, packing }: TextFile, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of readBytes(path, packing)) {
    chunks.push(chunk);
    length += chunk.length;
    // Of a packed file nobody knows the size before.
    if (length > limit) throw tooLong(length, path, limit);
  }
  return decodeUtf8(Buffer.concat(chunks), path);
}
