import { join } from "node:path";
import type { SafetensorsDType } from "../checkpoint/checkpoint.js";
import type { ReadBuffer } from "../checkpoint/read-buffer.js";
import type { TensorReader } from "../checkpoint/tensor-reader.js";
import { CheckpointError } from "../errors.js";
import { type Device, type DType, keep, noGrad, scope, Tensor } from "../tensor/index.js";

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
  const info = checkpoint.tensors.get(name);
  const where = info === undefined ? checkpoint.folder : join(checkpoint.folder, info.file);
  const refuse = (what: string, next: string): CheckpointError =>
    new CheckpointError({ where: `${where}, tensor "${name}"`, what, next });
  if (info === undefined) {
    throw refuse("is not in the checkpoint", "download the model again, or check that config.json belongs to it");
  }
  if (info.shape.length !== shape.length || info.shape.some((size, i) => size !== shape[i])) {
    throw refuse(
      `has shape [${info.shape.join(", ")}], config.json asks for [${shape.join(", ")}]`,
      "use the config.json that belongs to these weights",
    );
  }
  const dtype = floatType(info.dtype);
  if (dtype === undefined) {
    throw refuse(`has dtype ${info.dtype}, which is no floating point of 16 bits or more`, "use the unquantized model");
  }
  return keep(
    noGrad(() =>
      scope(() => {
        // Judged where it is going: a GPU reads it in no time.
        const bytes = changed ?? checkpoint.readSync(name, to.device === "cpu" ? undefined : to.buffer);
        const source = Tensor.fromBytes(bytes, shape, dtype, to.device);
        if (!holdsFiniteValues(source)) throw refuse("holds NaN or infinite values", "download the file again");
        return source.to(to.dtype).contiguous();
      }),
    ),
  );
}

// NaN passes through both extremes, and neither makes a copy of the tensor.
function holdsFiniteValues(tensor: Tensor): boolean {
  return Number.isFinite(tensor.amax().item()) && Number.isFinite(tensor.amin().item());
}
