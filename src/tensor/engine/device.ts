/** Where a tensor lives. */
export type Device = "cpu" | `cuda:${number}` | "mps";

/** Which of CUDA's devices it is; null for another kind. */
export function cudaIndex(device: Device): number | null {
  const match = /^cuda(?::(\d+))?$/.exec(device);
  return match === null ? null : Number(match[1] ?? 0);
}
