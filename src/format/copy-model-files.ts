import { closeSync, statSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileSystemError } from "../checkpoint/file-system-error.js";
import { largestRead, ModelFolder, readFully } from "../checkpoint/model-folder.js";
import { temporaryName } from "../checkpoint/write-file-atomically.js";

/** Weights in any format, and their indexes: an export has its own. */
const weights =
  /\.(?:safetensors|bin|pth?|ckpt|gguf|ggml|onnx|onnx_data\w*|h5|msgpack|ot|npz|tflite)$|\.(?:safetensors|bin)\.index\.json$/i;

/** Written anew by each export, or by the run that made the result. */
const rewritten: ReadonlySet<string> = new Set([
  "config.json",
  "quantize_config.json",
  "quant_config.json",
  "crossblock.json",
  "certificate.json",
  "certificate.md",
]);

const pieceBytes = 2 ** 24;

/**
 * Copies byte for byte what makes a model folder usable apart from weights and `config.json`: tokenizer, chat template,
 * generation settings, licence, model card. Hidden files and subfolders (other formats, download caches) stay behind.
 *
 * @returns the names of the copied files
 * @throws CheckpointError for a link that leads out of the source folder; EnvironmentError when writing fails
 */
export async function copyModelFiles(from: string, to: string, signal?: AbortSignal): Promise<readonly string[]> {
  const folder = ModelFolder.open(from);
  const copied: string[] = [];
  for (const name of folder.list()) {
    if (name.startsWith(".") || weights.test(name) || rewritten.has(name)) continue;
    signal?.throwIfAborted();
    if (statSync(join(from, name), { throwIfNoEntry: false })?.isDirectory() ?? true) continue;
    await copyFile(folder, name, join(to, name), signal);
    copied.push(name);
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
