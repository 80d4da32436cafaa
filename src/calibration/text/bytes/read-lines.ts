import type { Packing } from "../text-files.js";
import { type ByteRange, readBytes } from "./read-bytes.js";
import { longestText, tooLong } from "./utf8.js";

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
 * @param range reads only this part of the file, whose lines are counted from 1
 * @throws CalibrationError when the file can't be read, and for a line that no string can hold.
 */
export async function* readLines(
  path: string,
  packing: Packing | null = null,
  range?: ByteRange,
): AsyncGenerator<Line> {
  let number = 1;
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of readBytes(path, packing, range)) {
    let rest = chunk;
    for (let end = rest.indexOf(lineFeed); end >= 0; end = rest.indexOf(lineFeed)) {
      yield { number: number++, bytes: Buffer.concat([...parts, rest.subarray(0, end)]) };
      parts = [];
      length = 0;
      rest = rest.subarray(end + 1);
    }
    if (rest.length > 0) parts.push(rest);
    length += rest.length;
    if (length > longestText) throw tooLong(length, `${path}:${number}`);
  }
  if (parts.length > 0) yield { number, bytes: Buffer.concat(parts) };
}
