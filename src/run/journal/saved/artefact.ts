import { createHash } from "node:crypto";
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { byteLengthOf, type SafetensorsDType } from "../../../checkpoint/dtype.js";
import { fileSystemError } from "../../../checkpoint/file-system/file-system-error.js";
import { temporaryName } from "../../../checkpoint/file-system/write-file-atomically.js";
import { parseJsonObject, quote } from "../../../checkpoint/json/json.js";
import { encodeSafetensorsHeader } from "../../../checkpoint/safetensors/encode-safetensors-header.js";
import {
  checkHeaderLength,
  type HeaderTensor,
  parseSafetensorsHeader,
} from "../../../checkpoint/safetensors/safetensors-header.js";
import { CheckpointError, CrossblockError } from "../../../errors.js";

/** A tensor to save. */
export interface ArtefactTensor {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** Its bytes in order, little-endian. */
  readonly pieces: () => Iterable<Uint8Array>;
}

/** How the manifest knows an artefact. */
export interface ArtefactEntry {
  /** Plain name in the work directory; begins with what it is and holds the start of its hash. */
  readonly file: string;
  readonly bytes: number;
  /** SHA-256 of the whole file, in hexadecimal. */
  readonly sha256: string;
}

const recordKey = "crossblock";

/** What is hashed and written at once, in bytes: a few hundredths of a second. */
const PIECE = 32 * 2 ** 20;

/**
 * Writes a safetensors file with a record beside its tensors as `<stem>.<hash>.safetensors`: under a
 * temporary name, then renamed. Blocking, for the worker thread, but piece by piece: it yields after each. Where it is not
 * `durable` it is not fsync'ed (`syncArtefact` does it later), and its hash tells after a power failure whether it reached the disk.
 *
 * @throws EnvironmentError when the disk is full, read-only, ...; nothing remains then, nor when it is not run to its end
 */
export function* writingArtefact(
  folder: string,
  stem: string,
  tensors: readonly ArtefactTensor[],
  record: object,
  { durable = true }: { readonly durable?: boolean } = {},
): Generator<void, ArtefactEntry> {
  const listed = tensors.map((tensor) => ({ ...tensor, byteLength: byteLengthOf(tensor.dtype, tensor.shape) ?? 0 }));
  const temporary = temporaryName(join(folder, stem));
  let whole = false;
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    const file = openSync(temporary, "wx");
    try {
      const write = (piece: Uint8Array): void => {
        writeFully(file, piece);
        hash.update(piece);
        bytes += piece.byteLength;
      };
      write(encodeSafetensorsHeader(listed, { [recordKey]: JSON.stringify(record) }));
      for (const { name, byteLength, pieces } of listed) {
        const end = bytes + byteLength;
        for (const piece of pieces()) {
          for (let first = 0; first < piece.byteLength; first += PIECE) {
            write(piece.subarray(first, first + PIECE));
            yield;
          }
        }
        if (bytes !== end) throw new TypeError(`${name} gave ${bytes - end + byteLength} bytes, not ${byteLength}`);
      }
      if (durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    const sha256 = hash.digest("hex");
    const name = `${stem}.${sha256.slice(0, 16)}.safetensors`;
    renameSync(temporary, join(folder, name));
    whole = true;
    return { file: name, bytes, sha256 };
  } catch (error) {
    throw isSystemError(error) ? fileSystemError(error, "the state of the run can't be saved", folder) : error;
  } finally {
    if (!whole) rmSync(temporary, { force: true });
  }
}

/**
 * Brings an artefact that was written without `durable` to the disk.
 *
 * @throws EnvironmentError when that fails
 */
export function syncArtefact(folder: string, file: string): void {
  const path = join(folder, file);
  try {
    // Open for writing: Windows syncs no other.
    const fd = openSync(path, "r+");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw fileSystemError(error, "the state of the run can't be saved", path);
  }
}

/** Whether an artefact is there and has the bytes that it was written with. `poll` is called several times a second. */
export function isIntact(folder: string, { file, bytes, sha256 }: ArtefactEntry, poll: () => void): boolean {
  let fd: number;
  try {
    fd = openSync(join(folder, file), "r");
  } catch {
    return false;
  }
  try {
    if (fstatSync(fd).size !== bytes) return false;
    const hash = createHash("sha256");
    const piece = new Uint8Array(Math.min(bytes, 16 * 2 ** 20));
    for (let done = 0; done < bytes; ) {
      poll();
      const read = readSync(fd, piece, 0, Math.min(piece.byteLength, bytes - done), done);
      if (read === 0) return false;
      hash.update(piece.subarray(0, read));
      done += read;
    }
    return hash.digest("hex") === sha256;
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** An artefact open for reading; only its header is in memory. */
export class Artefact implements Disposable {
  readonly #fd: number;
  readonly #dataStart: number;
  readonly #tensors: ReadonlyMap<string, HeaderTensor>;

  private constructor(
    readonly path: string,
    fd: number,
    header: { readonly record: unknown; readonly tensors: readonly HeaderTensor[]; readonly dataStart: number },
  ) {
    this.record = header.record;
    this.#fd = fd;
    this.#dataStart = header.dataStart;
    this.#tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
  }

  /** What was written beside the tensors, as parsed JSON. */
  readonly record: unknown;

  /** @throws CheckpointError when it is damaged, EnvironmentError when it can't be read */
  static open(path: string): Artefact {
    let fd: number;
    try {
      fd = openSync(path, "r");
    } catch (error) {
      throw fileSystemError(error, "a saved window can't be read", path);
    }
    try {
      const { size } = fstatSync(fd);
      const prefix = new Uint8Array(8);
      readFully(fd, prefix, 0, path);
      const length = checkHeaderLength(prefix, size, path);
      const bytes = new Uint8Array(length);
      readFully(fd, bytes, 8, path);
      const { tensors, metadata } = parseSafetensorsHeader(bytes, size - 8 - length, path);
      const record = parseJsonObject(metadata.get(recordKey) ?? "", path);
      return new Artefact(path, fd, { record, tensors, dataStart: 8 + length });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /**
   * Bytes `begin` to `end` (excluded) of a tensor, all of it unless told otherwise.
   *
   * @throws CheckpointError when there is none of that name, or it is shorter
   */
  read(name: string, begin = 0, end?: number): Uint8Array {
    const tensor = this.#tensors.get(name);
    const length = tensor === undefined ? -1 : tensor.end - tensor.begin;
    const stop = end ?? length;
    if (tensor === undefined || begin < 0 || stop < begin || stop > length) {
      throw new CheckpointError({
        where: `${this.path}, tensor ${quote(name)}`,
        what: tensor === undefined ? "is not in this file" : `has ${length} bytes, fewer than ${stop}`,
        next: "run the same command with --fresh",
      });
    }
    const bytes = new Uint8Array(stop - begin);
    readFully(this.#fd, bytes, this.#dataStart + tensor.begin + begin, this.path);
    return bytes;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

function readFully(fd: number, bytes: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < bytes.byteLength; ) {
    let read: number;
    try {
      read = readSync(fd, bytes, done, Math.min(bytes.byteLength - done, 2 ** 30), position + done);
    } catch (error) {
      throw fileSystemError(error, "a saved window can't be read", path);
    }
    if (read === 0) {
      throw new CheckpointError({ where: path, what: "the file ends too early", next: "run the same command again" });
    }
    done += read;
  }
}

function writeFully(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) {
    done += writeSync(fd, bytes, done, Math.min(bytes.byteLength - done, 2 ** 30));
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && !(error instanceof CrossblockError);
}
