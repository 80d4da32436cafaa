import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { syncFolder, temporaryName, writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import { CrossblockError } from "../../errors.js";
import { assertOtherFolder } from "../assert-other-folder.js";
import type { ExportSource } from "../contract/export-source.js";
import { copyModelFiles } from "../copy-model-files.js";
import type { WrittenFolder } from "../write-model-folder.js";
import { configFile } from "../written-files.js";
import { standardizeJson } from "./config/standardize-json.js";
import { onnxConfigText } from "./config/transformers-js-config.js";
import type { PlannedTensor } from "./graph/graph-weights.js";
import { TensorBytes } from "./graph/tensor-bytes.js";
import { onnxNotes } from "./notes.js";
import { type OnnxPlan, type OnnxPlanOptions, planOnnx } from "./plan.js";

export interface WriteOnnxOptions extends OnnxPlanOptions {
  /** Stops between two pieces of about 8 MiB; no weights of this call remain then. */
  readonly signal?: AbortSignal;
}

export interface WrittenOnnx extends WrittenFolder {
  /** The graph's file, relative to the folder: `onnx/model_q4.onnx`. */
  readonly model: string;
  /** In the order of the data files. All are exact. */
  readonly tensors: readonly PlannedTensor[];
  /** What a user should know of the files: whole sentences. */
  readonly notes: readonly string[];
}

/**
 * Writes a finished result as a folder for transformers.js and onnxruntime: the graph with its data files in `onnx/`,
 * tokenizer and other files, and last `config.json`. At most one tensor of the source is in memory at a time.
 *
 * @throws ModelError or FormatError before anything is written, see `planOnnx`; FormatError for the source's own folder
 * @throws CheckpointError for a link that leads out of the source folder; EnvironmentError when writing fails
 */
export async function writeOnnx(
  source: ExportSource,
  outFolder: string,
  options: WriteOnnxOptions = {},
): Promise<WrittenOnnx> {
  const { signal, ...planOptions } = options;
  await assertOtherFolder(source.folder, outFolder);
  const plan = planOnnx(source, planOptions);
  const config = onnxConfigText(plan, source);
  const folder = join(outFolder, "onnx");
  await writeData(plan, source, folder, signal);
  await writeFileAtomically(join(folder, plan.modelFile), plan.graph);
  const copied = await copyModelFiles(source.folder, outFolder, signal);
  await standardizeJson(outFolder, copied);
  await writeFileAtomically(join(outFolder, configFile), config);
  const model = `onnx/${plan.modelFile}`;
  const files = [...plan.dataFiles.map((name) => `onnx/${name}`), model, ...copied, configFile];
  const sizes = await Promise.all(files.map(async (name) => (await stat(join(outFolder, name))).size));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return { files, bytes, model, tensors: plan.tensors, notes: onnxNotes(plan, source) };
}

/** All data files appear under their names only when all are complete. */
async function writeData(
  plan: OnnxPlan,
  source: ExportSource,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const targets = plan.dataFiles.map((name) => join(folder, name));
  const temporaries = targets.map(temporaryName);
  const content = new TensorBytes(source, plan.spec);
  try {
    await mkdir(folder, { recursive: true });
    for (const [chunk, temporary] of temporaries.entries()) {
      const file = await open(temporary, "wx");
      try {
        for (const tensor of plan.tensors) {
          if (tensor.chunk === chunk) await writeTensor(file, tensor, content, signal);
        }
        await file.sync();
      } finally {
        await file.close();
      }
    }
    for (const [i, temporary] of temporaries.entries()) await rename(temporary, targets[i] ?? temporary);
    await syncFolder(folder);
  } catch (error) {
    for (const temporary of temporaries) await rm(temporary, { force: true }).catch(() => {});
    const ofSystem = error instanceof Error && "syscall" in error;
    if (error instanceof CrossblockError || !ofSystem) throw error;
    throw fileSystemError(error, "the ONNX weights can't be written", folder);
  }
}

async function writeTensor(
  file: FileHandle,
  tensor: PlannedTensor,
  content: TensorBytes,
  signal: AbortSignal | undefined,
): Promise<void> {
  // Gaps between tensors are holes, which read as zeros.
  let position = tensor.offset;
  for await (const piece of content.pieces(tensor)) {
    signal?.throwIfAborted();
    for (let done = 0; done < piece.length; ) {
      done += (await file.write(piece, done, piece.length - done, position + done)).bytesWritten;
    }
    position += piece.length;
  }
}
