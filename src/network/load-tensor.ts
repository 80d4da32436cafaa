import { join } from "node:path";
import type { SafetensorsDType } from "../checkpoint/checkpoint.js";
import type { ReadBuffer } from "../checkpoint/read-buffer.js";
import type { TensorReader } from "../checkpoint/tensor-reader.js";
import { CheckpointError } from "../errors.js";
import { type Device, type DType, isFiniteTensor, keep, noGrad, scope, Tensor } from "../tensor/index.js";
import { missingTensor } from "./census/missing-tensor.js";

export interface Placement {
  readonly device: Device;
  readonly dtype: DType;
  /** What bytes on their way to a device are read into; without it, and for the CPU, memory of their own. */
  readonly buffer?: ReadBuffer;
}

const dtypes: Partial<Record<SafetensorsDType, DType>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/** The dtype of a stored floating point number of 16 bits or more; undefined for others. */
export function floatType(stored: SafetensorsDType): DType | undefined {
  return dtypes[stored];
}

/**
 * Reads one tensor of a checkpoint onto the device. The caller owns it; no scope frees it. `changed` are bytes in place of
 * those of the file, of the same dtype and shape.
 *
 * @throws CheckpointError naming the tensor when it is missing, has another shape or dtype, or holds NaN or Inf
 */
export function loadTensor(
  checkpoint: TensorReader,
  name: string,
  shape: readonly number[],
  to: Placement,
  changed: Uint8Array | null = null,
): Tensor {
  const { where, dtype } = requireStored(checkpoint, name, shape);
  return keep(
    noGrad(() =>
      scope(() => {
        // Judged where it is going: a GPU reads it in no time.
        const bytes = changed ?? checkpoint.readSync(name, to.device === "cpu" ? undefined : to.buffer);
        const source = Tensor.fromBytes(bytes, shape, dtype, to.device);
        if (!isFiniteTensor(source)) {
          throw new CheckpointError({ where, what: "holds NaN or infinite values", next: "download the file again" });
        }
        return source.to(to.dtype).contiguous();
      }),
    ),
  );
}

/**
 * Checks by its header that the checkpoint holds a tensor as the network needs it.
 *
 * @returns its dtype, and where it lies, for messages
 * @throws CheckpointError naming the tensor when it is missing, has another shape, or a dtype that is no float
 */
export function requireStored(
  checkpoint: Pick<TensorReader, "folder" | "tensors">,
  name: string,
  shape: readonly number[],
): { readonly dtype: DType; readonly where: string } {
  const info = checkpoint.tensors.get(name);
  if (info === undefined) throw missingTensor(checkpoint, name);
  const where = `${join(checkpoint.folder, info.file)}, tensor "${name}"`;
  requireShape(where, info.shape, shape);
  const dtype = floatType(info.dtype);
  if (dtype !== undefined) return { dtype, where };
  throw new CheckpointError({
    where,
    what: `has dtype ${info.dtype}, which is no floating point of 16 bits or more`,
    next: "use the unquantized model",
  });
}

/** @throws CheckpointError when a stored tensor has another shape than the network needs */
export function requireShape(where: string, shape: readonly number[], wanted: readonly number[]): void {
  if (shape.length === wanted.length && shape.every((size, i) => size === wanted[i])) return;
  throw new CheckpointError({
    where,
    what: `has shape [${shape.join(", ")}], config.json asks for [${wanted.join(", ")}]`,
    next: "use the config.json that belongs to these weights",
  });
}
