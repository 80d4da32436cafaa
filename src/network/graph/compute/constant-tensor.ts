import { numbersIn, Tensor } from "../../../tensor/index.js";
import type { GraphConstant } from "../graph.js";

/** The numbers that a file gives, on the host: floats as fp32, integers as they are. */
export function constantTensor({ dataType, shape, bytes }: GraphConstant): Tensor {
  // What is read may view the file, at any place of it.
  const own = Uint8Array.from(bytes());
  if (dataType === "uint16") return Tensor.from(Int32Array.from(new Uint16Array(own.buffer)), shape);
  if (dataType === "int4" || dataType === "uint4") {
    const count = numbersIn(shape);
    return dataType === "int4"
      ? Tensor.from(
          Int8Array.from({ length: count }, (_, i) => (nibble(own, i) << 28) >> 28),
          shape,
        )
      : Tensor.from(
          Uint8Array.from({ length: count }, (_, i) => nibble(own, i)),
          shape,
        );
  }
  const stored = Tensor.fromBytes(own, shape, dataType);
  if (dataType !== "float16" && dataType !== "bfloat16" && dataType !== "float64") return stored;
  const wide = stored.to("float32");
  stored.dispose();
  return wide;
}

/** Whether a constant is small enough to be computed with on the host, as shapes are. */
export function isSmall({ shape }: Pick<GraphConstant, "shape">): boolean {
  return numbersIn(shape) <= 64;
}

/** One of the numbers of 4 bits that share bytes, the first in the low bits. */
function nibble(bytes: Uint8Array, i: number): number {
  return ((bytes[i >> 1] ?? 0) >> (4 * (i & 1))) & 15;
}
