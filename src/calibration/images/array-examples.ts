import { readFile } from "node:fs/promises";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { checkHeaderLength, parseSafetensorsHeader } from "../../checkpoint/safetensors/safetensors-header.js";
import { CalibrationError } from "../../errors.js";
import { type DType, keep, numbersIn, scope, Tensor } from "../../tensor/index.js";
import type { Ports } from "../port-store.js";
import { readNpy, type StoredArray } from "./npy.js";

const DTYPES: Readonly<Record<string, DType>> = {
  F32: "float32",
  F64: "float64",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  I32: "int32",
  U8: "uint8",
};

/** Inputs of a network that were prepared elsewhere: a `.npy` for its one input, or a `.safetensors` with a tensor for each. */
export class ArrayExamples {
  private constructor(
    readonly count: number,
    private readonly arrays: ReadonlyMap<string, StoredArray>,
  ) {}

  /**
   * @param inputs names of the network's inputs
   * @throws CalibrationError for a file of another kind, or one that lacks an input
   */
  static async read(file: string, inputs: readonly string[]): Promise<ArrayExamples> {
    const bytes = await readFile(file).catch((error: unknown) => {
      throw fileSystemError(error, "the prepared tensors can't be read", file);
    });
    const stored = file.endsWith(".npy") ? ofNpy(bytes, file, inputs) : ofSafetensors(bytes, file);
    const arrays = new Map<string, StoredArray>();
    for (const name of inputs) {
      const array = stored.get(name);
      if (array === undefined) {
        throw new CalibrationError({
          what: `no tensor "${name}", which the network reads`,
          where: file,
          next: `write one for each input: ${inputs.join(", ")}`,
        });
      }
      arrays.set(name, array);
    }
    const counts = new Set([...arrays.values()].map(({ shape }) => shape[0] ?? 0));
    const [count = 0] = counts;
    if (counts.size === 1 && count > 0) return new ArrayExamples(count, arrays);
    throw new CalibrationError({
      what: `its tensors hold ${[...counts].join(" and ")} examples`,
      where: file,
      next: "write tensors whose first dimension counts the same examples, at least one",
    });
  }

  /** Shapes of one example by input. */
  get shapes(): Readonly<Record<string, readonly number[]>> {
    return Object.fromEntries([...this.arrays].map(([name, { shape }]) => [name, shape.slice(1)]));
  }

  /** `[indices.length, ...]` by input, on the CPU; numbers as they are stored. */
  read(indices: readonly number[]): Ports {
    const ports = [...this.arrays].map(([name, { shape, dtype, bytes }]) => {
      const size = bytes.byteLength / (shape[0] ?? 1);
      const rows = Buffer.concat(indices.map((index) => bytes.subarray(index * size, (index + 1) * size)));
      const own = Uint8Array.from(rows);
      const whole = dtype === "int64" || dtype === "int32";
      return [
        name,
        scope(() =>
          keep(Tensor.fromBytes(own, [indices.length, ...shape.slice(1)], dtype).to(whole ? dtype : "float32")),
        ),
      ] as const;
    });
    return Object.fromEntries(ports);
  }
}

function ofNpy(bytes: Uint8Array, file: string, inputs: readonly string[]): ReadonlyMap<string, StoredArray> {
  const [only, ...others] = inputs;
  if (only === undefined || others.length > 0) {
    throw new CalibrationError({
      what: `one array for a network with the inputs ${inputs.join(", ")}`,
      where: file,
      next: "give a .safetensors file with a tensor for each of them",
    });
  }
  return new Map([[only, readNpy(bytes, file)]]);
}

function ofSafetensors(bytes: Uint8Array, file: string): ReadonlyMap<string, StoredArray> {
  const length = checkHeaderLength(bytes, bytes.byteLength, file);
  const data = bytes.subarray(8 + length);
  const { tensors } = parseSafetensorsHeader(bytes.subarray(8, 8 + length), data.byteLength, file);
  return new Map(
    tensors.map(({ name, dtype, shape, begin, end }) => {
      const known = DTYPES[dtype];
      if (known === undefined) {
        throw new CalibrationError({
          what: `"${name}" holds ${dtype}`,
          where: file,
          next: `write it as one of ${Object.keys(DTYPES).join(", ")}`,
        });
      }
      if (numbersIn(shape) === 0) {
        throw new CalibrationError({ what: `"${name}" is empty`, where: file, next: "write at least one example" });
      }
      return [name, { shape, dtype: known, bytes: data.subarray(begin, end) }] as const;
    }),
  );
}
