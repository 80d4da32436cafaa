import { type FileHandle, open } from "node:fs/promises";
import { unreadable } from "../text-files.js";
import type { ByteRange } from "./read-bytes.js";

/** Bytes of a section. */
const sectionSize = 1 << 16;
/** Bytes that are looked at together. */
const windowSize = 1 << 16;

/**
 * Parts of a large file, evenly spread over it, which begin and end with lines.
 *
 * In a text where a line is longer than 64 KiB, a section begins and ends at white space, and where there is none, with a
 * character. Where lines are records, a section goes on to the end of the line, however far that is.
 *
 * @param size bytes of the file
 * @param wanted bytes of all sections together; a little more or less comes
 * @throws CalibrationError when the file can't be read.
 */
export async function fileSections(
  path: string,
  size: number,
  wanted: number,
  cut: "text" | "lines" = "text",
): Promise<ByteRange[]> {
  const count = Math.max(1, Math.min(Math.ceil(wanted / sectionSize), Math.ceil(size / sectionSize)));
  const stride = size / count;
  try {
    await using file = await open(path);
    // The last search: whatever begins within it ends where it ended, so a line is never searched twice.
    let searched: ByteRange = { start: 0, end: 0 };
    const boundary = async (at: number): Promise<number> => {
      if (at <= 0) return 0;
      if (at >= size || (at >= searched.start && at <= searched.end)) return at >= size ? size : searched.end;
      searched = { start: at, end: await nextBreak(file, at, size, cut) };
      return searched.end;
    };
    const sections: ByteRange[] = [];
    for (let i = 0; i < count; i++) {
      const from = Math.floor(i * stride);
      const start = await boundary(from);
      const end = await boundary(Math.min(from + sectionSize, Math.floor((i + 1) * stride)));
      if (end > start) sections.push({ start, end });
    }
    return sections;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** The first place from `start` on where a section can begin. */
async function nextBreak(file: FileHandle, start: number, size: number, cut: "text" | "lines"): Promise<number> {
  const window = Buffer.alloc(windowSize);
  for (let at = start; at < size; at += windowSize) {
    const { bytesRead } = await file.read(window, 0, windowSize, at);
    const bytes = window.subarray(0, bytesRead);
    const line = bytes.indexOf(0x0a);
    if (line >= 0) return at + line + 1;
    if (cut === "text") return at + textBreak(bytes);
  }
  return size;
}

/** At a space, or else at the first byte of a character. */
function textBreak(bytes: Uint8Array): number {
  const space = bytes.indexOf(0x20);
  if (space >= 0) return space;
  return Math.max(
    bytes.findIndex((byte) => (byte & 0xc0) !== 0x80),
    0,
  );
}
