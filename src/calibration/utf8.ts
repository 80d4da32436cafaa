import { CalibrationError } from "../errors.js";

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * The text of `bytes`, without a byte order mark.
 *
 * @param where the file, or the file and line, for the error
 * @throws CalibrationError when the bytes are not UTF-8: replacing them silently would calibrate on garbage.
 */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
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
