import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, CrossblockError } from "../../errors.js";
import { byteLengthOf, isSafetensorsDType, type SafetensorsDType } from "../dtype.js";
import { fileSystemError } from "../file-system/file-system-error.js";
import { syncFolder, temporaryName, writeFileAtomically } from "../file-system/write-file-atomically.js";
import { quote } from "../json/json.js";
import { singleWeightFile, weightIndexFile } from "../weight-index.js";
import { encodeSafetensorsHeader } from "./encode-safetensors-header.js";

/** A tensor to write. Its bytes are asked for once, when their turn comes, and not kept. */
export interface OutputTensor {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Exactly `byteLength` bytes, little-endian. */
  readonly bytes: () => Uint8Array | Promise<Uint8Array>;
}

export interface WriteSafetensorsOptions {
  /** Tensor bytes per file; a tensor larger than this gets a file of its own. Default 5e9, as on the Hugging Face Hub. */
  readonly maxShardBytes?: number;
  /** Stops between two pieces of at most 64 MiB; nothing of this call remains then. */
  readonly signal?: AbortSignal;
}

export interface WrittenSafetensors {
  /** Names in the folder, the index (where there is one) last. */
  readonly files: readonly string[];
  /** Bytes of all tensors, headers not counted. */
  readonly totalBytes: number;
  /** File of each tensor. */
  readonly weightMap: ReadonlyMap<string, string>;
}

const pieceBytes = 64 * 2 ** 20;
const shardName = /^model-\d{5}-of-\d{5}\.safetensors$/;

/**
 * Writes tensors in the given order (see `aligned` for the exception) as `model.safetensors`, or as `model-00001-of-0000N.safetensors` with an index when
 * they exceed one shard. At most one tensor is in memory at a time.
 *
 * Everything is written under temporary names and fsync'ed before the first rename; the file through which readers enter
 * (the single file, or the index) comes last. Weight files of an earlier result in the folder are replaced: those under
 * other names (another number of shards) are removed, because readers would mix them up with the new ones.
 * @throws CheckpointError when a tensor's name, shape and bytes contradict each other
 * @throws EnvironmentError when the disk is full, the folder not writable, ...; nothing of this call remains then
 */
export async function writeSafetensors(
  folder: string,
  tensors: Iterable<OutputTensor>,
  options: WriteSafetensorsOptions = {},
): Promise<WrittenSafetensors> {
  const shards = planShards([...tensors], options.maxShardBytes ?? 5e9);
  const names = shards.map((_, i) => nameOfShard(i, shards.length));
  const weightMap = new Map<string, string>();
  const totalBytes = shards.flat().reduce((sum, tensor) => sum + tensor.byteLength, 0);
  const temporaries: string[] = [];
  try {
    await mkdir(folder, { recursive: true });
    for (const [i, shard] of shards.entries()) {
      const name = names[i] ?? singleWeightFile;
      for (const tensor of shard) weightMap.set(tensor.name, name);
      const temporary = temporaryName(join(folder, name));
      temporaries.push(temporary);
      await writeFile(temporary, shard, options.signal);
    }
    options.signal?.throwIfAborted();
    const entry = shards.length > 1 ? weightIndexFile : singleWeightFile;
    await removeOthers(folder, new Set([entry]), (name) => name === weightIndexFile || name === singleWeightFile);
    for (const [i, temporary] of temporaries.entries()) await rename(temporary, join(folder, names[i] ?? ""));
    await removeOthers(folder, new Set(names), (name) => shardName.test(name));
    await syncFolder(folder);
    if (shards.length > 1) {
      const index = { metadata: { total_size: totalBytes }, weight_map: Object.fromEntries(weightMap) };
      await writeFileAtomically(join(folder, weightIndexFile), `${JSON.stringify(index, null, 2)}\n`);
    }
    return { files: shards.length > 1 ? [...names, weightIndexFile] : names, totalBytes, weightMap };
  } catch (error) {
    for (const temporary of temporaries) await rm(temporary, { force: true }).catch(() => {});
    if (error instanceof CrossblockError || options.signal?.aborted || !isSystemError(error)) throw error;
    throw fileSystemError(error, "the weights can't be written", folder);
  }
}

/** Whether a file of this name is one that `writeSafetensors` writes, whatever the number of shards. */
export function isWeightFile(name: string): boolean {
  return name === singleWeightFile || name === weightIndexFile || shardName.test(name);
}

/** Errors of the operating system are translated; those that a tensor's `bytes` throws pass as they are. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

function nameOfShard(index: number, count: number): string {
  if (count === 1) return singleWeightFile;
  const five = (n: number): string => String(n).padStart(5, "0");
  return `model-${five(index + 1)}-of-${five(count)}.safetensors`;
}

/** Greedy, in the given order: a new shard starts when the next tensor would exceed the limit. */
function planShards(tensors: readonly OutputTensor[], limit: number): readonly (readonly OutputTensor[])[] {
  const seen = new Set<string>();
  const shards: OutputTensor[][] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    checkTensor(tensor, seen);
    if (filled > 0 && filled + tensor.byteLength > limit) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)?.push(tensor);
    filled += tensor.byteLength;
  }
  return shards.map(aligned);
}

/**
 * The given order, except that tensors which are no multiple of 8 bytes (few and small in practice) move to the end,
 * widest elements first. The format allows no holes, and so every tensor is still aligned to its element size, on
 * which readers that map the file into memory rely.
 */
function aligned(tensors: readonly OutputTensor[]): readonly OutputTensor[] {
  const odd = tensors.filter((tensor) => tensor.byteLength % 8 !== 0);
  const width = (tensor: OutputTensor): number => byteLengthOf(tensor.dtype, [1]) ?? 0;
  return [...tensors.filter((tensor) => tensor.byteLength % 8 === 0), ...odd.sort((a, b) => width(b) - width(a))];
}

function checkTensor({ name, dtype, shape, byteLength }: OutputTensor, seen: Set<string>): void {
  const fail = (what: string): never => {
    throw new CheckpointError({
      what,
      where: `tensor ${quote(name)}`,
      next: "this is a defect of the writer's caller: report it with this message",
    });
  };
  if (name === "" || name === "__metadata__" || /\p{Surrogate}/u.test(name)) fail("a tensor can't have this name");
  if (seen.has(name)) fail("two tensors of this name");
  seen.add(name);
  if (!isSafetensorsDType(dtype)) fail(`unknown dtype ${quote(String(dtype))}`);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) fail(`impossible shape [${shape.join(", ")}]`);
  const expected = byteLengthOf(dtype, shape);
  if (expected !== byteLength) {
    fail(`${dtype} [${shape.join(", ")}] takes ${expected ?? "no exact number of"} bytes, not ${byteLength}`);
  }
}

async function writeFile(path: string, tensors: readonly OutputTensor[], signal?: AbortSignal): Promise<void> {
  const file = await open(path, "wx");
  try {
    await writeAll(file, encodeSafetensorsHeader(tensors, { format: "pt" }), signal);
    for (const tensor of tensors) {
      signal?.throwIfAborted();
      const bytes = await tensor.bytes();
      if (bytes.byteLength !== tensor.byteLength) {
        throw new CheckpointError({
          what: `${bytes.byteLength} bytes were produced instead of ${tensor.byteLength}`,
          where: `tensor ${quote(tensor.name)}`,
          next: "this is a defect of the writer's caller: report it with this message",
        });
      }
      await writeAll(file, bytes, signal);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    signal?.throwIfAborted();
    const { bytesWritten } = await file.write(bytes, done, Math.min(pieceBytes, bytes.byteLength - done));
    done += bytesWritten;
  }
}

async function removeOthers(
  folder: string,
  keep: ReadonlySet<string>,
  matches: (name: string) => boolean,
): Promise<void> {
  for (const name of await readdir(folder)) {
    if (matches(name) && !keep.has(name)) await rm(join(folder, name), { force: true });
  }
}
