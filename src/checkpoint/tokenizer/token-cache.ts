import { createHash } from "node:crypto";
import { mkdir, open } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { CrossblockError } from "../../errors.js";
import { writeFileAtomically } from "../file-system/write-file-atomically.js";
import type { Tokenizer } from "./tokenizer.js";
import { tokenizerRulesVersion } from "./tokenizer-rules.js";

export interface TokenCacheOptions {
  /** Folder of the cache; null for none. Default `tokenCacheFolder()`. */
  readonly folder?: string | null;
  /** Stops between two documents. */
  readonly signal?: AbortSignal;
}

/** `$XDG_CACHE_HOME/crossblock/tokens`, or `~/.cache/crossblock/tokens` where that variable is not an absolute path. */
export function tokenCacheFolder(): string {
  const xdg = process.env["XDG_CACHE_HOME"] ?? "";
  return join(isAbsolute(xdg) ? xdg : join(homedir(), ".cache"), "crossblock", "tokens");
}

/**
 * Token ids of each document, from the cache when these documents were encoded with this tokenizer before.
 * One cache file holds one list of documents; its name is a hash of the texts, of `tokenizer.json` and of our rules.
 * A damaged file counts as absent, and a cache that can't be written is no error.
 */
export async function encodeDocuments(
  tokenizer: Tokenizer,
  documents: readonly string[],
  options: TokenCacheOptions = {},
): Promise<readonly Int32Array[]> {
  const folder = options.folder === undefined ? tokenCacheFolder() : options.folder;
  const key = createHash("sha256").update(
    `crossblock ${tokenizerRulesVersion} ${tokenizer.hash} ${documents.length}\n`,
  );
  for (const text of documents) key.update(`${text.length}\n`).update(text, "utf8");
  const path = folder === null ? null : join(folder, `${key.digest("hex")}.ids`);
  const textBytes = documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const cached = path === null ? null : await readEntry(path, documents.length, textBytes, tokenizer.idLimit);
  if (cached !== null) return cached;
  const encoded: Int32Array[] = [];
  for (const text of documents) {
    options.signal?.throwIfAborted();
    encoded.push(tokenizer.encode(text));
    // Encoding blocks: let timers and signals run between documents.
    await setImmediate();
  }
  if (folder !== null && path !== null) {
    const entry = entryOf(encoded);
    if (entry !== null) await keep(folder, path, entry);
  }
  return encoded;
}

async function keep(folder: string, path: string, entry: Uint8Array): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await writeFileAtomically(path, entry);
  } catch (cause) {
    // Where the folder can't be written, next time costs as much as this time and nothing is lost. Other errors are ours.
    const isFromSystem =
      cause instanceof CrossblockError || (cause instanceof Error && "code" in cause && "syscall" in cause);
    if (!isFromSystem) throw cause;
  }
}

/** Node reads no more into one buffer. */
const largestEntry = 2 ** 31 - 1;

/*
 * A cache file, little-endian: magic (8 bytes), number of documents (u32), token count of each (u32),
 * all ids (i32), SHA-256 of everything before.
 */
const magic = "CBTOKEN1";

/** null for more tokens than a cache file can be read with. */
function entryOf(documents: readonly Int32Array[]): Uint8Array | null {
  // Arguments lie on the stack: a call that spreads a count per document has room for about 120,000.
  const counts = Uint32Array.from([documents.length, ...documents.map((ids) => ids.length)]);
  const size = documents.reduce((sum, ids) => sum + ids.byteLength, magic.length + counts.byteLength + 32);
  if (size > largestEntry) return null;
  const parts = [new TextEncoder().encode(magic), bytesOf(counts), ...documents.map(bytesOf)];
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return Buffer.concat([...parts, hash.digest()]);
}

function bytesOf(values: Int32Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/**
 * @param textBytes bytes of all texts; a byte gives at most a few tokens, which bounds what is read
 * @returns null when the file is absent or anything about it is wrong
 */
async function readEntry(
  path: string,
  count: number,
  textBytes: number,
  idLimit: number,
): Promise<readonly Int32Array[] | null> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const dataStart = magic.length + 4 + 4 * count;
    if (size < dataStart + 32 || size > dataStart + 32 + 16 * (textBytes + count)) return null;
    const bytes = new Uint8Array(await file.readFile());
    const hash = createHash("sha256").update(bytes.subarray(0, -32)).digest();
    if (bytes.length !== size || !hash.equals(bytes.subarray(-32))) return null;
    const view = new DataView(bytes.buffer);
    if (new TextDecoder().decode(bytes.subarray(0, magic.length)) !== magic) return null;
    if (view.getUint32(magic.length, true) !== count) return null;
    const documents: Int32Array[] = [];
    let at = dataStart;
    for (let i = 0; i < count; i++) {
      const length = view.getUint32(magic.length + 4 + 4 * i, true);
      if (at + 4 * length > size - 32) return null;
      const ids = new Int32Array(bytes.slice(at, at + 4 * length).buffer);
      if (!ids.every((id) => id >= 0 && id < idLimit)) return null;
      documents.push(ids);
      at += 4 * length;
    }
    return at === size - 32 ? documents : null;
  } catch {
    return null;
  }
}
