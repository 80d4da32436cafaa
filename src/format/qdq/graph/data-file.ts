import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { fileSystemError } from "../../../checkpoint/file-system/file-system-error.js";
import { syncFolder, temporaryName } from "../../../checkpoint/file-system/write-file-atomically.js";
import type { TensorPlace } from "./tensor-message.js";

/** A tensor begins at a multiple of this, so that vector loads on a mapped file are aligned. */
const ALIGNMENT = 64;
/** Smaller tensors stay in the graph: runtimes look at the values of shapes and axes while they load it. */
const SMALLEST = 1024;

/** The data file beside a graph. It has its name only when it is complete. */
export class DataFile implements AsyncDisposable {
  #end = 0;
  #complete = false;

  /** @throws EnvironmentError when it can't be made */
  static async create(path: string): Promise<DataFile> {
    const temporary = temporaryName(path);
    try {
      return new DataFile(path, temporary, await open(temporary, "wx"));
    } catch (error) {
      throw fileSystemError(error, "the ONNX weights can't be written", path);
    }
  }

  private constructor(
    private readonly path: string,
    private readonly temporary: string,
    private readonly file: FileHandle,
  ) {}

  takes(byteLength: number): boolean {
    return byteLength >= SMALLEST;
  }

  /** Writes a tensor's bytes, and tells where they are. @throws EnvironmentError */
  async write(bytes: Uint8Array): Promise<TensorPlace> {
    const offset = Math.ceil(this.#end / ALIGNMENT) * ALIGNMENT;
    try {
      for (let done = 0; done < bytes.length; ) {
        done += (await this.file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
      }
    } catch (error) {
      throw fileSystemError(error, "the ONNX weights can't be written", this.path);
    }
    this.#end = offset + bytes.length;
    return { location: basename(this.path), offset };
  }

  /** Gives the file its name. @throws EnvironmentError */
  async complete(): Promise<void> {
    try {
      await this.file.sync();
      await rename(this.temporary, this.path);
      await syncFolder(dirname(this.path));
      this.#complete = true;
    } catch (error) {
      throw fileSystemError(error, "the ONNX weights can't be written", this.path);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file.close();
    if (!this.#complete) await rm(this.temporary, { force: true }).catch(() => {});
  }
}
