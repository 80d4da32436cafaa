import { closeSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileSystemError } from "../checkpoint/file-system/file-system-error.js";
import { temporaryName } from "../checkpoint/file-system/write-file-atomically.js";
import { type Device, type DType, elementSize, keep, noGrad, numbersIn, scope, Tensor } from "../tensor/index.js";

/** Where calibration activations are kept. */
export type Storage = "device" | "host" | "disk";

export interface StoreShape {
  readonly sequences: number;
  /** Of one sequence: `[tokens, hidden]` between the blocks of a decoder. */
  readonly shape: readonly number[];
}

/** What all calibration sequences are at one place of the network: `[sequences, ...shape]`. */
export interface ActivationStore {
  readonly shape: StoreShape;
  /**
   * The sequences at `indices`, `[indices.length, ...shape]` on the compute device. `places` are the same indices,
   * int64 on that device: with them a store that lies there is read without waiting for it.
   */
  read(indices: readonly number[], places?: Tensor): Tensor;
  /** `values` as `write` keeps them: what of writing can run out of memory. */
  ready(values: Tensor): Tensor;
  /** Overwrites the sequences from `first` on with `values [n, ...shape]`. */
  write(first: number, values: Tensor): void;
  dispose(): void;
}

/** Bytes that a store takes. */
export function storeBytes({ sequences, shape }: StoreShape, dtype: DType): number {
  return sequences * numbersIn(shape) * elementSize(dtype);
}

/** What a store needs to know of the work that it serves. */
export interface StorePlacement {
  /** In which activations are kept. */
  readonly dtype: DType;
  /** Where they are computed with. */
  readonly device: Device;
  /** Folder for what waits on the disk. */
  readonly scratch: string;
}

/** @throws EnvironmentError when a store on the disk can't be made, written or read */
export function createStore(shape: StoreShape, storage: Storage, placement: StorePlacement): ActivationStore {
  const { dtype, device } = placement;
  return storage === "disk"
    ? new DiskStore(shape, placement)
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
    this.#values = keep(Tensor.zeros([shape.sequences, ...shape.shape], { dtype, device: home }));
  }

  read(indices: readonly number[], places?: Tensor): Tensor {
    return noGrad(() =>
      scope(() => {
        const home = this.#values.device;
        if (places?.device === home) return this.#values.indexSelect(0, places).to(this.device);
        const [first = 0] = indices;
        if (indices.every((index, i) => index === first + i)) {
          // Nothing to wait for, as there would be with indices that have to reach the device first.
          const stretch = this.#values.narrow(0, first, indices.length);
          return home === this.device ? stretch.clone() : stretch.to(this.device);
        }
        const at = Tensor.from(BigInt64Array.from(indices, BigInt)).to(home);
        return this.#values.indexSelect(0, at).to(this.device);
      }),
    );
  }

  ready(values: Tensor): Tensor {
    return noGrad(() => scope(() => values.to(this.#values.dtype).to(this.#values.device)));
  }

  write(first: number, values: Tensor): void {
    noGrad(() => scope(() => this.#values.narrow(0, first, values.size(0)).copy_(values)));
  }

  dispose(): void {
    this.#values.dispose();
  }
}

const PREFIX = "the calibration activations on the disk";

class DiskStore implements ActivationStore {
  readonly #path: string;
  readonly #file: number;
  readonly #sequenceBytes: number;

  constructor(
    readonly shape: StoreShape,
    private readonly placement: StorePlacement,
  ) {
    const { dtype, scratch } = placement;
    this.#sequenceBytes = numbersIn(shape.shape) * elementSize(dtype);
    this.#path = temporaryName(join(scratch, "activations.bin"));
    this.#file = this.#system("can't be made", () => openSync(this.#path, "wx+"));
    try {
      this.#system("can't be made", () => ftruncateSync(this.#file, shape.sequences * this.#sequenceBytes));
      // Without a name nothing remains when the process is killed. Windows keeps it until `dispose`.
      if (process.platform !== "win32") rmSync(this.#path);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  read(indices: readonly number[]): Tensor {
    const bytes = new Uint8Array(indices.length * this.#sequenceBytes);
    const length = this.#sequenceBytes;
    indices.forEach((index, i) => {
      this.#transfer("can't be read", length, (done) =>
        readSync(this.#file, bytes, i * length + done, length - done, index * length + done),
      );
    });
    const { dtype, device } = this.placement;
    return Tensor.fromBytes(bytes, [indices.length, ...this.shape.shape], dtype, device);
  }

  ready(values: Tensor): Tensor {
    return noGrad(() => scope(() => values.to(this.placement.dtype).to("cpu")));
  }

  write(first: number, values: Tensor): void {
    const bytes = noGrad(() => scope(() => values.to(this.placement.dtype).toBytes()));
    this.#transfer("can't be written", bytes.byteLength, (done) =>
      writeSync(this.#file, bytes, done, bytes.byteLength - done, first * this.#sequenceBytes + done),
    );
  }

  dispose(): void {
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }

  // The system may move fewer bytes than it was asked for.
  #transfer(what: string, length: number, move: (done: number) => number): void {
    for (let done = 0; done < length; ) {
      const moved = this.#system(what, () => move(done));
      if (moved === 0)
        throw fileSystemError(new Error("the file was cut"), `${PREFIX} ${what}`, this.placement.scratch);
      done += moved;
    }
  }

  #system<T>(what: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw fileSystemError(error, `${PREFIX} ${what}`, this.placement.scratch);
    }
  }
}
