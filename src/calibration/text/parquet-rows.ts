import * as zlib from "node:zlib";
import {
  asyncBufferFromFile,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from "hyparquet";
import { decompressLz4, decompressLz4Raw, decompressZstd } from "hyparquet-compressors";
import { CalibrationError } from "../../errors.js";
import type { ChatFormat } from "../chat/chat-format.js";
import type { Key, Value } from "../chat/jinja/values.js";
import { decodeUtf8 } from "./bytes/utf8.js";
import type { Document } from "./document.js";
import type { ReadingOptions } from "./reading-options.js";
import { besideText, documentOfRecord, textFields } from "./record-text.js";
import { rowValue } from "./row-value.js";
import { unreadable } from "./text-files.js";

/**
 * The documents of a `.parquet` file: one a row, from the columns that `textOfRecord` knows. One row group is in memory at
 * a time.
 *
 * @returns documents whose text is empty for rows without any
 * @throws CalibrationError that names the file when it can't be read or has no such column, and the row of another form.
 */
export async function* readParquetRows(
  path: string,
  chat: ChatFormat,
  options: Pick<ReadingOptions, "column" | "answers"> = {},
): AsyncGenerator<Document> {
  const { column } = options;
  const file = await asyncBufferFromFile(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const metadata = await decode(path, () => parquetMetadataAsync(file));
  const columns = textColumns(metadata, path, column);
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const rows: readonly unknown[] = await decode(path, () =>
      parquetReadObjects({
        file,
        metadata,
        columns,
        rowStart,
        rowEnd,
        compressors,
        parsers: { stringFromBytes: (bytes?: Uint8Array) => bytes && decodeUtf8(bytes, path) },
      }),
    );
    for (const [i, row] of rows.entries()) {
      const source = `${path}, row ${rowStart + i + 1}`;
      const record = new Map<Key, Value>(columns.map((name) => [name, cellOf(row, name, source)]));
      yield documentOfRecord(record, chat, source, options);
    }
    rowStart = rowEnd;
  }
}

// The library itself reads uncompressed and Snappy pages.
const compressors: Compressors = {
  GZIP: (input, maxOutputLength) => zlib.gunzipSync(input, { maxOutputLength }),
  BROTLI: (input, maxOutputLength) => zlib.brotliDecompressSync(input, { maxOutputLength }),
  ZSTD: (input, maxOutputLength) => {
    // Node's own is faster, and younger than the oldest Node that is supported.
    const decompress: unknown = Reflect.get(zlib, "zstdDecompressSync");
    return typeof decompress === "function"
      ? Reflect.apply(decompress, zlib, [input, { maxOutputLength }])
      : decompressZstd(input, new Uint8Array(maxOutputLength));
  },
  LZ4: decompressLz4,
  LZ4_RAW: decompressLz4Raw,
};

function cellOf(row: unknown, name: string, source: string): Value {
  const cell: unknown = typeof row === "object" && row !== null ? Reflect.get(row, name) : undefined;
  try {
    return rowValue(cell);
  } catch (cause) {
    throw new CalibrationError({
      what: `the column "${name}" has a value that is neither text, number, list nor struct`,
      where: source,
      next: "write the column as strings, or the text to a .jsonl file",
      cause,
    });
  }
}

function textColumns(metadata: FileMetaData, path: string, column: string | undefined): string[] {
  // The schema is a tree in depth-first order: the root comes first, and only its children are columns of the table.
  const names: string[] = [];
  let below = 0;
  for (const { name, num_children: children = 0 } of metadata.schema.slice(1)) {
    if (below === 0) names.push(name);
    else below -= 1;
    below += children;
  }
  if (column !== undefined) {
    if (names.includes(column)) return [...new Set([column, ...besideText.filter((name) => names.includes(name))])];
    throw new CalibrationError({
      what: `there is no column "${column}"`,
      where: path,
      why: `the columns are ${listed(names)}`,
      next: "name the column that holds the text",
    });
  }
  const found = textFields.filter((name) => names.includes(name));
  if (found.length > 0) return [...found, ...besideText.filter((name) => names.includes(name))];
  throw new CalibrationError({
    what: 'the table has neither a column "text" nor a column "messages"',
    where: path,
    why: `its columns are ${listed(names)}`,
    next: "rename the column that holds the text, or write the text to a .jsonl file",
  });
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 12).map((name) => JSON.stringify(name.slice(0, 40)));
  return `${shown.join(", ")}${names.length > 12 ? ", ..." : ""}`;
}

async function decode<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof CalibrationError) throw cause;
    throw new CalibrationError({
      what: "the Parquet file can't be decoded",
      where: path,
      ...(cause instanceof Error && { why: cause.message }),
      next: "download it again, or write it anew with Snappy, gzip or no compression",
      cause,
    });
  }
}
