/** Where a tensor lives. */
export type Device = "cpu" | `cuda:${number}` | "mps";
