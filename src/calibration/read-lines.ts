import { createReadStream } from "node:fs";
import { unreadable } from "./text-files.js";

export interface Line {
  /** Counted from 1. */
  readonly number: number;
  /** Without the line feed. */
  readonly bytes: Uint8Array;
}

const lineFeed = 0x0a;

/**
 * The lines of a file, of which only one is in memory at a time. Lines stay bytes, so that the reader of a line that
 * is not UTF-8 can name it.
 *
 * @throws CalibrationError when the file can't be read.
 */
export async function* readLines(path: string): AsyncGenerator<Line> {
  let number = 1;
  let parts: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      let rest = chunk as Buffer;
      for (let end = rest.indexOf(lineFeed); end >= 0; end = rest.indexOf(lineFeed)) {
        yield { number: number++, bytes: Buffer.concat([...parts, rest.subarray(0, end)]) };
        parts = [];
        rest = rest.subarray(end + 1);
      }
      if (rest.length > 0) parts.push(rest);
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (parts.length > 0) yield { number, bytes: Buffer.concat(parts) };
}
