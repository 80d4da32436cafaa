import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import * as zlib from "node:zlib";
import { CalibrationError } from "../../../errors.js";
import { type Packing, unreadable } from "../text-files.js";
import { encodingSample, refuseOtherEncoding } from "./text-encoding.js";

/** The part of a file from `start` up to, and without, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The bytes of a file, unpacked, a piece at a time.
 *
 * @throws CalibrationError when the file can't be read or unpacked, or is UTF-16 or UTF-32.
 */
export async function* readBytes(
  path: string,
  packing: Packing | null = null,
  range?: ByteRange,
): AsyncGenerator<Buffer> {
  const window = range === undefined ? {} : { start: range.start, end: range.end - 1 };
  const file = createReadStream(path, { highWaterMark: 1 << 20, ...window });
  const unpack = packing === null ? null : unpacker(packing, path);
  const source: Readable = unpack === null ? file : file.on("error", (cause) => unpack.destroy(cause)).pipe(unpack);
  let start: Buffer | null = Buffer.alloc(0);
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      if (start !== null && start.length < encodingSample) start = Buffer.concat([start, chunk]);
      if (start !== null && start.length >= encodingSample) {
        refuseOtherEncoding(start, path);
        yield start;
        start = null;
      } else if (start === null) yield chunk;
    }
    if (start !== null && start.length > 0) {
      refuseOtherEncoding(start, path);
      yield start;
    }
  } catch (cause) {
    if (cause instanceof CalibrationError) throw cause;
    if (packing !== null && isPackingError(cause)) throw broken(path, cause);
    throw unreadable(path, cause);
  } finally {
    file.destroy();
  }
}

function unpacker(packing: Packing, path: string): zlib.Gunzip {
  if (packing === ".gz") return zlib.createGunzip();
  // Younger than the oldest Node that is supported.
  const create: unknown = Reflect.get(zlib, "createZstdDecompress");
  if (typeof create === "function") return Reflect.apply(create, zlib, []);
  throw new CalibrationError({
    what: "Node 22.15 or newer is needed to unpack Zstandard",
    where: path,
    next: "unpack it with `zstd -d` and give the unpacked file, or use a newer Node",
  });
}

function isPackingError(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && /^(?:Z_|ZSTD_|ERR_ZSTD)/.test(String(cause.code));
}

function broken(path: string, cause: unknown): CalibrationError {
  return new CalibrationError({
    what: "the file can't be unpacked",
    where: path,
    ...(cause instanceof Error && { why: cause.message }),
    next: "download or pack it again",
    cause,
  });
}
