import { closeSync, lstatSync, type Stats, statSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileSystemError, isNotFound } from "../checkpoint/file-system/file-system-error.js";
import { shellWord } from "../checkpoint/file-system/shell-word.js";
import { temporaryName } from "../checkpoint/file-system/write-file-atomically.js";
import { largestRead, ModelFolder, readFully } from "../checkpoint/model-folder.js";
import { CheckpointError } from "../errors.js";
import { isSealed } from "./seal.js";
import { type CopiedFiles, cardFile, ownFiles, recordFile, sourceCardFile } from "./written-files.js";

/** Weights in any format, and their indexes: an export has its own. */
const weights =
  /\.(?:safetensors|bin|pth?|ckpt|gguf|ggml|onnx|onnx_data\w*|h5|msgpack|ot|npz|tflite)$|\.(?:safetensors|bin)\.index\.json$/i;

/** Bytes of the largest model card that is read. */
export const maxCardLength = 16_000_000;

const pieceBytes = 2 ** 24;

/**
 * What `copyModelFiles` will copy from a model folder. Every file is opened, so that what can't be copied is found before
 * anything is computed.
 *
 * @param only names, of which those that are there are copied as they are; null for all that goes along with a model's weights
 * @throws CheckpointError for a link that leads out of the folder or nowhere, and for a socket, pipe or device;
 *   EnvironmentError for a file that can't be read
 */
export function filesToCopy(from: string, only: ReadonlySet<string> | null = null): CopiedFiles {
  return new Map(copiesOf(ModelFolder.open(from), only).map(({ target, size }) => [target, size]));
}

interface Copy {
  readonly name: string;
  /** Its name in the copy. */
  readonly target: string;
  readonly size: number;
}

function copiesOf(folder: ModelFolder, only: ReadonlySet<string> | null): readonly Copy[] {
  const from = folder.path;
  const files: Copy[] = [];
  for (const name of folder.list()) {
    const stays = only === null ? name.startsWith(".") || weights.test(name) || ownFiles.has(name) : !only.has(name);
    if (stays) continue;
    const target = only === null ? targetOf(folder, name) : name;
    if (target === null) continue;
    const where = join(from, name);
    const found = statusOf(where);
    if (found === null || found.isDirectory()) continue;
    if (!found.isFile()) {
      throw new CheckpointError({
        where,
        what: "a socket, pipe or device, which can't be copied beside the weights",
        next: "move it out of the model folder",
      });
    }
    const file = folder.openFile(name);
    if (file === null) continue;
    closeSync(file.fd);
    files.push({ name, target, size: file.size });
  }
  return files;
}

/**
 * The name under which a file goes along, null for one that stays. An export has a card of its own, and keeps the source
 * model's beside it: of a model that is its card, of a result the one that it keeps.
 */
function targetOf(folder: ModelFolder, name: string): string | null {
  const isResult = folder.has(recordFile);
  if (name === sourceCardFile) return isResult ? name : null;
  if (name !== cardFile) return name;
  if (!isResult) return sourceCardFile;
  // Results of early versions have the source's card under its own name.
  const own = folder.has(sourceCardFile) || isSealed(folder.readText(name, maxCardLength) ?? "");
  return own ? null : sourceCardFile;
}

/** @returns null for a file that is gone by now */
function statusOf(where: string): Stats | null {
  try {
    return statSync(where);
  } catch (error) {
    if (!isNotFound(error)) throw fileSystemError(error, "the file can't be copied", where);
    if (lstatSync(where, { throwIfNoEntry: false }) === undefined) return null;
    throw new CheckpointError({
      where,
      what: "a symbolic link to a file that is not there",
      next: `restore that file, or remove the link: rm ${shellWord(where)}`,
    });
  }
}

/**
 * Copies byte for byte what makes a model folder usable apart from weights and `config.json`: tokenizer, chat template,
 * generation settings, licence, model card (as `README.source.md`). Hidden files and subfolders (other formats, download caches) stay behind.
 *
 * @param only as in `filesToCopy`
 * @returns the names of the copied files
 * @throws CheckpointError as `filesToCopy`; EnvironmentError when writing fails
 */
export async function copyModelFiles(
  from: string,
  to: string,
  signal?: AbortSignal,
  only: ReadonlySet<string> | null = null,
): Promise<readonly string[]> {
  const folder = ModelFolder.open(from);
  const copied: string[] = [];
  for (const { name, target } of copiesOf(folder, only)) {
    signal?.throwIfAborted();
    await copyFile(folder, name, join(to, target), signal);
    copied.push(target);
  }
  return copied;
}

async function copyFile(folder: ModelFolder, name: string, target: string, signal?: AbortSignal): Promise<void> {
  const source = folder.openFile(name);
  if (source === null) return;
  const temporary = temporaryName(target);
  try {
    const file = await open(temporary, "wx");
    try {
      const where = join(folder.path, name);
      for (let done = 0; done < source.size; ) {
        signal?.throwIfAborted();
        const piece = new Uint8Array(Math.min(pieceBytes, largestRead, source.size - done));
        readFully(source.fd, piece, done, where);
        await file.writeFile(piece);
        done += piece.byteLength;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    if (signal?.aborted || !(error instanceof Error && "syscall" in error)) throw error;
    throw fileSystemError(error, "the file can't be copied", target);
  } finally {
    closeSync(source.fd);
  }
}
