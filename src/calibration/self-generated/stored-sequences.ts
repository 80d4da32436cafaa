import { createHash } from "node:crypto";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import type { TokenSequences } from "../token-sequences.js";

/** What decides sequences that a model generated, by name. */
export type SequenceKey = Readonly<Record<string, string | number | readonly string[] | null>>;

/** Whether a file holds sequences that were generated, by its name. */
export function isSequenceFile(name: string): boolean {
  return /^generated-[0-9a-f]{64}\.ids$/.test(name);
}

const hashBytes = 32;

/**
 * Writes sequences under the hash of what decided them, all or nothing: a SHA-256 and the ids, int32, little-endian.
 *
 * @throws EnvironmentError where the folder can't be written
 */
export async function storeSequences(folder: string, key: SequenceKey, { ids }: TokenSequences): Promise<void> {
  await mkdir(folder, { recursive: true });
  const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  await writeFileAtomically(pathOf(folder, key), Buffer.concat([sha256(bytes), bytes]));
}

/** Those that were stored under this key; null where there are none, or something about them is wrong. */
export async function storedSequences(
  folder: string,
  key: SequenceKey,
  shape: Omit<TokenSequences, "ids"> & { readonly vocabulary: number },
): Promise<TokenSequences | null> {
  const found = await firstSequences(folder, key, shape);
  return found?.sequences === shape.sequences ? found : null;
}

/** The first of them, where no more were stored under this key. */
export async function firstSequences(
  folder: string,
  key: SequenceKey,
  { sequences: most, context, vocabulary }: Omit<TokenSequences, "ids"> & { readonly vocabulary: number },
): Promise<TokenSequences | null> {
  try {
    await using file = await open(pathOf(folder, key));
    const { size } = await file.stat();
    const sequences = (size - hashBytes) / (context * Int32Array.BYTES_PER_ELEMENT);
    if (!Number.isInteger(sequences) || sequences < 1 || sequences > most) return null;
    const bytes = new Uint8Array(await file.readFile());
    const content = bytes.slice(hashBytes);
    if (!sha256(content).equals(bytes.subarray(0, hashBytes))) return null;
    const ids = new Int32Array(content.buffer);
    return ids.every((id) => id >= 0 && id < vocabulary) ? { ids, sequences, context } : null;
  } catch {
    return null;
  }
}

function pathOf(folder: string, key: SequenceKey): string {
  const sorted = Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1));
  return join(folder, `generated-${sha256(JSON.stringify(sorted)).toString("hex")}.ids`);
}

function sha256(content: string | Uint8Array): Buffer {
  return createHash("sha256").update(content).digest();
}
