import { constants } from "node:buffer";
import { CalibrationError } from "../../../errors.js";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Most bytes of one text: what surely fits a string. */
export const longestText = Math.floor(constants.MAX_STRING_LENGTH / 1e6) * 1e6;

/**
 * The text of `bytes`, without a byte order mark.
 *
 * @param where the file, or the file and line, for the error
 * @throws CalibrationError when the bytes are not UTF-8: replacing them silently would calibrate on garbage.
 */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  if (bytes.length > longestText) throw tooLong(bytes.length, where);
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new CalibrationError({
      what: "the text is not UTF-8",
      where,
      next: "convert it, for example with `iconv -f latin1 -t utf-8`, or leave the file out",
      cause,
    });
  }
}

/** The error of a text that no string can hold. */
export function tooLong(bytes: number, where: string, limit: number = longestText): CalibrationError {
  return new CalibrationError({
    what: `${Math.round(bytes / 1e6)} MB in one document; at most ${Math.floor(limit / 1e6)} MB are read`,
    where,
    next: "split it into files with `split -C 50M --additional-suffix=.txt`, or write several documents, one a line, to a .jsonl file",
  });
}

/**
 * Refuses what no text of a language has and no tokenizer of Python takes: NUL characters and halves of surrogate pairs.
 *
 * @param where the file, line or row, for the error
 */
export function checkCharacters(text: string, where: string): void {
  const nul = text.indexOf("\0");
  if (nul >= 0) {
    const misread = /^[\u00ff\u00fe]{2}/.test(text);
    throw new CalibrationError({
      what: `the text has a NUL character (U+0000) at ${placeOf(text, nul)}`,
      where,
      ...(misread && { why: "UTF-16 that was converted as if it were Latin-1 looks like this" }),
      next: misread
        ? "convert the original file with `iconv -f utf-16 -t utf-8`"
        : "remove such characters (`tr -d '\\000' < OLD > NEW` from a .txt file), or leave the document out",
    });
  }
  const half = text.search(/\p{Surrogate}/u);
  if (half < 0) return;
  throw new CalibrationError({
    what: `the text has half of a surrogate pair (\\u${text.charCodeAt(half).toString(16)}) at ${placeOf(text, half)}`,
    where,
    why: "a text was cut within a character, and no encoding can hold what is left of it",
    next: "remove it, or leave the document out",
  });
}

function placeOf(text: string, index: number): string {
  const before = text.slice(0, index);
  const line = before.split("\n").length;
  const column = Array.from(before.slice(before.lastIndexOf("\n") + 1)).length + 1;
  return `line ${line}, character ${column}`;
}
