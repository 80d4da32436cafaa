import type { ReadBuffer } from "../../checkpoint/read-buffer.js";
import type { TensorInfo, TensorReader } from "../../checkpoint/tensor-reader.js";
import type { RecipeResults } from "../job/recipe-job.js";

/** A checkpoint whose tensors are those that a training handed over, where it did; the others are the source's. */
export class TrainedCheckpoint implements TensorReader {
  constructor(
    private readonly source: TensorReader,
    private readonly results: Pick<RecipeResults, "readPlain">,
  ) {}

  get folder(): string {
    return this.source.folder;
  }

  get tensors(): ReadonlyMap<string, TensorInfo> {
    return this.source.tensors;
  }

  async read(name: string): Promise<Uint8Array> {
    return this.results.readPlain(name) ?? this.source.read(name);
  }

  readSync(name: string, buffer?: ReadBuffer): Uint8Array {
    return this.results.readPlain(name) ?? this.source.readSync(name, buffer);
  }

  /** What was trained lies in files that are opened when they are read. */
  willRead(): void {}
}
