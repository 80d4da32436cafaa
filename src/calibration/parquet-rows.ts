import * as zlib from "node:zlib";
import {
  asyncBufferFromFile,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from "hyparquet";
import { CalibrationError } from "../errors.js";
import type { ChatFormat } from "./chat-format.js";
import type { Document } from "./document.js";
import { isRecord, textOfRecord } from "./record-text.js";
import { unreadable } from "./text-files.js";
import { decodeUtf8 } from "./utf8.js";

/**
 * The documents of a `.parquet` file: one a row, from its column `text`, else from its column `messages`; rows without
 * a value are skipped. One row group is in memory at a time.
 *
 * @throws CalibrationError that names the file when it can't be read or has neither column, and the row that has no text.
 */
export async function* readParquetRows(path: string, chat: ChatFormat): AsyncGenerator<Document> {
  const file = await asyncBufferFromFile(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const metadata = await decode(path, () => parquetMetadataAsync(file));
  const column = textColumn(metadata, path);
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const rows: readonly unknown[] = await decode(path, () =>
      parquetReadObjects({
        file,
        metadata,
        columns: [column],
        rowStart,
        rowEnd,
        compressors,
        parsers: { stringFromBytes: (bytes?: Uint8Array) => bytes && decodeUtf8(bytes, path) },
      }),
    );
    for (const [i, row] of rows.entries()) {
      const source = `${path}, row ${rowStart + i + 1}`;
      if (isRecord(row) && row[column] !== null && row[column] !== undefined) {
        yield { text: textOfRecord(row, chat, source), source };
      }
    }
    rowStart = rowEnd;
  }
}

// The library itself reads uncompressed and Snappy pages.
const compressors: Compressors = {
  GZIP: (input, maxOutputLength) => zlib.gunzipSync(input, { maxOutputLength }),
  BROTLI: (input, maxOutputLength) => zlib.brotliDecompressSync(input, { maxOutputLength }),
  ZSTD: (input, maxOutputLength) => {
    // Younger than the oldest Node that is supported.
    const decompress: unknown = Reflect.get(zlib, "zstdDecompressSync");
    if (typeof decompress !== "function") throw new Error("Zstandard takes Node 22.15 or newer");
    return Reflect.apply(decompress, zlib, [input, { maxOutputLength }]);
  },
};

function textColumn(metadata: FileMetaData, path: string): "text" | "messages" {
  // The schema is a tree in depth-first order: the root comes first, and only its children are columns of the table.
  const names: string[] = [];
  let below = 0;
  for (const { name, num_children: children = 0 } of metadata.schema.slice(1)) {
    if (below === 0) names.push(name);
    else below -= 1;
    below += children;
  }
  for (const name of ["text", "messages"] as const) if (names.includes(name)) return name;
  throw new CalibrationError({
    what: 'the table has neither a column "text" nor a column "messages"',
    where: path,
    why: `its columns are ${names
      .slice(0, 12)
      .map((name) => JSON.stringify(name.slice(0, 40)))
      .join(", ")}`,
    next: "rename the column that holds the text, or write the text to a .jsonl file",
  });
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
