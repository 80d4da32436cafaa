import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import { floatsFromBytes } from "../bits/float-bytes.js";
import type { ActivationQuantization, ExportSource } from "../contract/export-source.js";
import { INPUT_SCALE, INPUT_ZERO_POINT } from "./layout.js";

/**
 * The stored grids of inputs that have one range per Linear; none where ranges are taken from each input.
 *
 * @throws FormatError naming the tensor that is missing, or is no scale or zero point
 */
export async function readInputGrids(
  checkpoint: TensorReader,
  modules: readonly string[],
  activations: ActivationQuantization | null,
): Promise<Pick<ExportSource, "inputScales" | "inputZeroPoints">> {
  const scales = new Map<string, number>();
  if (activations === null || activations.dynamic) return { inputScales: scales };
  const zeroPoints = new Map<string, number>();
  for (const module of modules) {
    scales.set(module, await scaleOf(checkpoint, `${module}.${INPUT_SCALE}`));
    if (activations.zeroPoint === undefined) continue;
    zeroPoints.set(module, await zeroPointOf(checkpoint, `${module}.${INPUT_ZERO_POINT}`, activations.bits));
  }
  return { inputScales: scales, ...(activations.zeroPoint !== undefined && { inputZeroPoints: zeroPoints }) };
}

async function scaleOf(checkpoint: TensorReader, tensor: string): Promise<number> {
  const { dtype } = checkpoint.tensors.get(tensor) ?? contradiction(tensor, "the tensor is missing");
  const [scale] = floatsFromBytes(await checkpoint.read(tensor), dtype, tensor);
  if (scale === undefined || !(scale > 0)) contradiction(tensor, `the activation scale is ${scale}`);
  return scale;
}

// Signed as the codes of the input.
async function zeroPointOf(checkpoint: TensorReader, tensor: string, bits: number): Promise<number> {
  const { dtype, byteLength } = checkpoint.tensors.get(tensor) ?? contradiction(tensor, "the tensor is missing");
  if (dtype !== "I8" || byteLength !== 1) contradiction(tensor, `${dtype} of ${byteLength} bytes for a zero point`);
  const [signed = 0] = Int8Array.from(await checkpoint.read(tensor));
  const zeroPoint = signed + 2 ** (bits - 1);
  if (zeroPoint < 0 || zeroPoint >= 2 ** bits)
    contradiction(tensor, `the zero point ${signed} is no code of ${bits} bits`);
  return zeroPoint;
}

function contradiction(where: string, what: string): never {
  throw new FormatError({
    what,
    where,
    why: "weights and config.json don't belong together, or the file is damaged",
    next: "export or download this folder again",
  });
}
