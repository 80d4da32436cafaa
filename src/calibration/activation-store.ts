import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Device, type DType, elementSize, keep, noGrad, scope, Tensor } from "../tensor/index.js";

/** Where calibration activations are kept. */
export type Storage = "device" | "host" | "disk";

export interface StoreShape {
  readonly sequences: number;
  readonly tokens: number;
  readonly hidden: number;
}

/** The activations of all calibration sequences at one place of the network: `[sequences, tokens, hidden]`. */
export interface ActivationStore {
  readonly shape: StoreShape;
  /** The sequences at `indices`, `[indices.length, tokens, hidden]` on the compute device. */
  read(indices: readonly number[]): Tensor;
  /** Overwrites the sequences from `first` on with `values [n, tokens, hidden]`. */
  write(first: number, values: Tensor): void;
  dispose(): void;
}

/** Bytes that a store takes. */
export function storeBytes({ sequences, tokens, hidden }: StoreShape, dtype: DType): number {
  return sequences * tokens * hidden * elementSize(dtype);
}

export function createStore(shape: StoreShape, storage: Storage, dtype: DType, device: Device): ActivationStore {
  return storage === "disk"
    ? new DiskStore(shape, dtype, device)
    : new MemoryStore(shape, dtype, storage === "device" ? device : "cpu", device);
}

class MemoryStore implements ActivationStore {
  readonly #values: Tensor;

  constructor(
    readonly shape: StoreShape,
    dtype: DType,
    home: Device,
    private readonly device: Device,
  ) {
    this.#values = keep(Tensor.zeros([shape.sequences, shape.tokens, shape.hidden], { dtype, device: home }));
  }

  read(indices: readonly number[]): Tensor {
    return noGrad(() =>
      scope(() => {
        const places = Tensor.from(BigInt64Array.from(indices, BigInt)).to(this.#values.device);
        return this.#values.indexSelect(0, places).to(this.device);
      }),
    );
  }

  write(first: number, values: Tensor): void {
    noGrad(() => scope(() => this.#values.narrow(0, first, values.size(0)).copy_(values)));
  }

  dispose(): void {
    this.#values.dispose();
  }
}

class DiskStore implements ActivationStore {
  readonly #folder = mkdtempSync(join(tmpdir(), "crossblock-"));
  readonly #file = openSync(join(this.#folder, "activations.bin"), "w+");
  readonly #sequenceBytes: number;

  constructor(
    readonly shape: StoreShape,
    private readonly dtype: DType,
    private readonly device: Device,
  ) {
    this.#sequenceBytes = shape.tokens * shape.hidden * elementSize(dtype);
    ftruncateSync(this.#file, shape.sequences * this.#sequenceBytes);
  }

  read(indices: readonly number[]): Tensor {
    const bytes = new Uint8Array(indices.length * this.#sequenceBytes);
    indices.forEach((index, i) => {
      const [from, length] = [i * this.#sequenceBytes, this.#sequenceBytes];
      readSync(this.#file, bytes, from, length, index * length);
    });
    const { tokens, hidden } = this.shape;
    return Tensor.fromBytes(bytes, [indices.length, tokens, hidden], this.dtype, this.device);
  }

  write(first: number, values: Tensor): void {
    const array = noGrad(() => scope(() => values.to(this.dtype).toArray()));
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    writeSync(this.#file, bytes, 0, bytes.byteLength, first * this.#sequenceBytes);
  }

  dispose(): void {
    closeSync(this.#file);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
