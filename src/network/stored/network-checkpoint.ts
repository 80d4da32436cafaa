import { join } from "node:path";
import type { ReadBuffer } from "../../checkpoint/read-buffer.js";
import type { TensorInfo, TensorReader } from "../../checkpoint/tensor-reader.js";
import { CheckpointError } from "../../errors.js";
import { requireShape } from "../load-tensor.js";
import { readView, type StoredView, type StoredViews } from "./stored-view.js";

/**
 * A checkpoint with the tensors of its network in place of those that are stored: parts of fused Linears, all experts of a Linear
 * as one tensor, matrices the right way round. Everything else is as it is stored.
 */
export class NetworkCheckpoint implements TensorReader {
  readonly tensors: ReadonlyMap<string, TensorInfo>;

  /**
   * @param views those whose stored tensors the checkpoint has
   * @throws CheckpointError naming a stored tensor of another shape
   */
  constructor(
    private readonly source: TensorReader,
    private readonly views: StoredViews,
  ) {
    const made = new Map<string, TensorInfo[]>();
    const hidden = new Set<string>();
    for (const [name, view] of views) {
      const [first, ...others] = view.from.map((stored) => this.#stored(stored, view));
      if (first === undefined) continue;
      for (const stored of view.from) hidden.add(stored);
      const info = { ...first, name, shape: view.shape, byteLength: elementsIn(view.shape) * elementSizeOf(first) };
      for (const { dtype, name: stored } of others) {
        if (dtype === first.dtype) continue;
        throw new CheckpointError({
          where: `${join(source.folder, first.file)}, tensor "${stored}"`,
          what: `has dtype ${dtype}, and "${first.name}", which belongs to the same Linear, ${first.dtype}`,
          next: "save the model again in one dtype",
        });
      }
      made.set(first.name, [...(made.get(first.name) ?? []), info]);
    }
    // Each where the first stored tensor of it lies.
    this.tensors = new Map(
      [...source.tensors.values()].flatMap((info) => {
        const here = made.get(info.name) ?? [];
        return (hidden.has(info.name) ? here : [...here, info]).map((each) => [each.name, each] as const);
      }),
    );
  }

  get folder(): string {
    return this.source.folder;
  }

  async read(name: string): Promise<Uint8Array> {
    return this.views.has(name) ? this.readSync(name) : this.source.read(name);
  }

  readSync(name: string, buffer?: ReadBuffer): Uint8Array {
    const view = this.views.get(name);
    if (view === undefined) return this.source.readSync(name, buffer);
    const info = this.tensors.get(name) as TensorInfo;
    return readView(view, elementSizeOf(info), (stored) => this.source.readSync(stored));
  }

  willRead(names: Iterable<string>): void {
    this.source.willRead([...names].flatMap((name) => this.views.get(name)?.from ?? [name]));
  }

  #stored(name: string, { storedShape }: StoredView): TensorInfo {
    const info = this.source.tensors.get(name);
    if (info === undefined) throw new TypeError(`no stored tensor "${name}"`);
    requireShape(`${join(this.source.folder, info.file)}, tensor "${name}"`, info.shape, storedShape);
    return info;
  }
}

function elementsIn(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function elementSizeOf({ byteLength, shape }: TensorInfo): number {
  return byteLength / elementsIn(shape);
}
