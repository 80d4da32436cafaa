import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { syncFolder, temporaryName } from "../../checkpoint/file-system/write-file-atomically.js";
import { CrossblockError, FormatError } from "../../errors.js";
import type { ExportSource } from "../contract/export-source.js";
import { modelName } from "../model-label.js";
import { encodeHeader, type TensorEntry } from "./file/header.js";
import { alignUp, type FloatType, type GgufValue, type QuantizedType } from "./file/layout.js";
import { modelMetadata } from "./file/metadata.js";
import { openRows, putFloats } from "./file/row-writer.js";
import { ggufNotes } from "./notes.js";
import { type GgufPlan, type GgufPlanOptions, type PlannedTensor, planGguf } from "./plan.js";
import { provenance } from "./provenance.js";
import { type GgufTokenizer, ggufTokenizer } from "./tokenizer/tokenizer.js";

export interface WriteGgufOptions extends GgufPlanOptions {
  /** Stops between two pieces of about 8 MiB; nothing of this call remains then. */
  readonly signal?: AbortSignal;
}

/** One tensor as written. */
export interface WrittenTensor extends Omit<PlannedTensor, "rowOrder" | "plusOne"> {
  /** Mean squared error relative to the mean square of the values; 0 when exact. */
  readonly relativeError: number;
}

export interface WrittenGguf {
  /** Bytes of the file. */
  readonly bytes: number;
  /** In the order of the file. */
  readonly tensors: readonly WrittenTensor[];
  /** What a user should know of the file: whole sentences. */
  readonly notes: readonly string[];
}

/** Everything about a file except its tensors' bytes. */
export interface PreparedGguf {
  readonly plan: GgufPlan;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly entries: readonly TensorEntry[];
  readonly header: Uint8Array;
  /** Of the whole file. */
  readonly bytes: number;
  /** The type that holds most weights of the layers. */
  readonly mainType: QuantizedType | FloatType;
  /** What a user should know of the file: whole sentences. */
  readonly notes: readonly string[];
}

const PIECE_BYTES = 8 * 2 ** 20;

/**
 * Writes a finished result as one GGUF v3 file for llama.cpp: weights, metadata, tokenizer and chat template. At most one tensor of
 * the source is in memory at a time. The file appears under its name only when it is complete.
 *
 * @throws FormatError before anything is written when llama.cpp can't hold the model, its tokenizer or its scheme
 * @throws EnvironmentError when the disk is full, the folder not writable, ...; nothing of this call remains then
 */
export async function writeGguf(
  source: ExportSource,
  outFile: string,
  options: WriteGgufOptions = {},
): Promise<WrittenGguf> {
  const { plan, entries, header, bytes, notes } = prepareGguf(source, options);
  const temporary = temporaryName(outFile);
  try {
    await mkdir(dirname(outFile), { recursive: true });
    const file = await open(temporary, "wx");
    let written: readonly WrittenTensor[];
    try {
      await writeFully(file, header, 0);
      written = await writeTensors(file, plan, entries, header.length, options.signal);
      // The gaps between tensors are holes, which read as zeros; this makes the last one.
      await file.truncate(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, outFile);
    await syncFolder(dirname(outFile));
    return { bytes, tensors: written, notes };
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    const ofSystem = error instanceof Error && "syscall" in error;
    if (error instanceof CrossblockError || !ofSystem) throw error;
    throw fileSystemError(error, "the GGUF file can't be written", outFile);
  }
}

/**
 * Lays a file out and writes its header; reads the tokenizer and no tensor.
 *
 * @throws FormatError when llama.cpp can't hold the model, its tokenizer or its scheme
 */
export function prepareGguf(source: ExportSource, options: GgufPlanOptions = {}): PreparedGguf {
  const plan = planGguf(source, options);
  const entries = placeTensors(plan.tensors);
  const mainType = mostFrequentType(plan.tensors);
  const tokenizer = tokenizerOf(plan, source);
  const metadata = metadataOf(plan, mainType, source, options, tokenizer);
  const header = encodeHeader(metadata, entries);
  const bytes = header.length + plan.tensors.reduce((sum, { byteLength }) => sum + alignUp(byteLength), 0);
  return { plan, metadata, entries, header, bytes, mainType, notes: [...ggufNotes(plan, source), ...tokenizer.notes] };
}

async function writeTensors(
  file: FileHandle,
  plan: GgufPlan,
  entries: readonly TensorEntry[],
  dataStart: number,
  signal: AbortSignal | undefined,
): Promise<WrittenTensor[]> {
  const written: WrittenTensor[] = [];
  for (const [i, tensor] of plan.tensors.entries()) {
    signal?.throwIfAborted();
    const { rowOrder: _, plusOne: _one, ...facts } = tensor;
    const at = dataStart + (entries[i]?.offset ?? 0);
    const relativeError =
      tensor.source === null
        ? await writeTable(file, at, plan.tables.get(tensor.name))
        : await writeRows(file, at, tensor, tensor.source, plan.source, signal);
    written.push({ ...facts, relativeError });
  }
  return written;
}

async function writeRows(
  file: FileHandle,
  start: number,
  tensor: PlannedTensor,
  name: string,
  source: ExportSource,
  signal: AbortSignal | undefined,
): Promise<number> {
  const writer = await openRows(tensor, name, source);
  const perPiece = Math.min(writer.rows, Math.max(1, Math.floor(PIECE_BYTES / writer.rowBytes)));
  const piece = new Uint8Array(perPiece * writer.rowBytes);
  for (let row = 0; row < writer.rows; row += perPiece) {
    signal?.throwIfAborted();
    const count = Math.min(perPiece, writer.rows - row);
    piece.fill(0);
    for (let i = 0; i < count; i++) writer.write(row + i, piece, i * writer.rowBytes);
    await writeFully(file, piece.subarray(0, count * writer.rowBytes), start + row * writer.rowBytes);
  }
  return writer.relativeError();
}

async function writeTable(file: FileHandle, at: number, values?: Float32Array): Promise<number> {
  const table = values ?? new Float32Array(0);
  const bytes = new Uint8Array(table.byteLength);
  putFloats(table, "F32", bytes, 0);
  await writeFully(file, bytes, at);
  return 0;
}

async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

function placeTensors(tensors: readonly PlannedTensor[]): TensorEntry[] {
  let offset = 0;
  return tensors.map(({ name, type, shape, byteLength }) => {
    const entry = { name, type, shape, offset };
    offset += alignUp(byteLength);
    return entry;
  });
}

function tokenizerOf({ shape, tensors }: GgufPlan, { folder, config }: ExportSource): GgufTokenizer {
  const embedding = tensors.find(({ name }) => name === "token_embd.weight");
  const rows = embedding?.shape[0] ?? shape.vocabulary;
  if (rows !== shape.vocabulary) {
    throw new FormatError({
      what: `the embedding has ${rows} rows and config.json says vocab_size ${shape.vocabulary}`,
      where: "model.embed_tokens.weight",
      next: "use the config.json that belongs to these weights",
    });
  }
  return ggufTokenizer(folder, config, rows);
}

function metadataOf(
  plan: GgufPlan,
  mainType: QuantizedType | FloatType,
  source: ExportSource,
  options: GgufPlanOptions,
  tokenizer: GgufTokenizer,
): ReadonlyMap<string, GgufValue> {
  const { shape, rope, tensors } = plan;
  const metadata = modelMetadata(shape, rope, {
    name: modelName(source),
    mainType,
    hasQ2: tensors.some(({ type }) => type === "Q2_0"),
    notes: tokenizer.notes,
  });
  for (const [key, value] of tokenizer.keys) metadata.set(key, value);
  for (const [key, value] of provenance(source, options)) metadata.set(key, value);
  return metadata;
}

function mostFrequentType(tensors: readonly PlannedTensor[]): QuantizedType | FloatType {
  const elements = new Map<QuantizedType | FloatType, number>();
  for (const { name, type, shape } of tensors) {
    if (!name.startsWith("blk.") || shape.length < 2) continue;
    elements.set(type, (elements.get(type) ?? 0) + shape.reduce((product, size) => product * size, 1));
  }
  return [...elements].sort((a, b) => b[1] - a[1])[0]?.[0] ?? "F16";
}
