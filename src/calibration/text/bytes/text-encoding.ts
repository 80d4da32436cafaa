import { CalibrationError } from "../../../errors.js";

/** Bytes at the beginning of a file that `refuseOtherEncoding` looks at. */
export const encodingSample = 4096;

const marks: readonly (readonly [encoding: string, bytes: readonly number[]])[] = [
  // Before UTF-16: its little-endian mark begins like that of UTF-32.
  ["UTF-32", [0xff, 0xfe, 0x00, 0x00]],
  ["UTF-32", [0x00, 0x00, 0xfe, 0xff]],
  ["UTF-16", [0xff, 0xfe]],
  ["UTF-16", [0xfe, 0xff]],
];

/**
 * Refuses a file whose first bytes are those of UTF-16 or UTF-32: by the byte order mark, or because every second byte,
 * or three of four, are zero, as they are in all texts that are mostly Latin letters.
 *
 * @param start the first bytes of the file; all of them, where it is shorter than `encodingSample`
 * @throws CalibrationError with the command that converts it.
 */
export function refuseOtherEncoding(start: Uint8Array, path: string): void {
  const mark = marks.find(([, bytes]) => bytes.every((byte, i) => start[i] === byte));
  const encoding = mark?.[0] ?? unmarked(start);
  if (encoding === null) return;
  const command = `iconv -f ${encoding.toLowerCase()} -t utf-8`;
  throw new CalibrationError({
    what: `the text is ${encoding.slice(0, 6)}, and only UTF-8 is read`,
    where: path,
    why: mark === undefined ? "zeros stand between its letters" : "it begins with the mark of that encoding",
    next: `convert it with \`${command}\`, for example \`${command} < OLD > NEW\``,
  });
}

/** What the zeros among the first bytes say. Without a mark, converters need to be told the order of the bytes. */
function unmarked(start: Uint8Array): string | null {
  const sample = start.subarray(0, encodingSample - (encodingSample % 4));
  // "ÿþ" in UTF-8: a mark of UTF-16 that went through a wrong conversion, as all else did.
  if (sample[0] === 0xc3 && sample[2] === 0xc3) return null;
  const zeros = [0, 0, 0, 0];
  for (const [i, byte] of sample.entries()) if (byte === 0) zeros[i % 4] = (zeros[i % 4] ?? 0) + 1;
  const quarter = sample.length / 4;
  const [a = 0, b = 0, c = 0, d = 0] = zeros.map((count) => count / quarter);
  const often = 0.4;
  const seldom = 0.05;
  if (sample.length < 4) return null;
  if (b > often && c > often && d > often && a < seldom) return "UTF-32LE";
  if (a > often && b > often && c > often && d < seldom) return "UTF-32BE";
  if (b + d > 2 * often && a + c < 2 * seldom) return "UTF-16LE";
  if (a + c > 2 * often && b + d < 2 * seldom) return "UTF-16BE";
  return null;
}
