import type { Device } from "../../tensor/index.js";
import { cpuFeatures } from "./cpu-features.js";

/** A processor, and the engine on it. */
export interface HostArithmetic {
  /** Content of `/proc/cpuinfo`; empty on other systems than Linux. */
  readonly cpuinfo: string;
  /** Libtorch's description of its build. */
  readonly config: string;
}

/**
 * The dtype of the products: as asked for, or what the device is fast in. It follows from the machine, never from a
 * measurement, so a run that is continued there multiplies as it began; on another machine its identity tells.
 */
export function computeType(
  asked: "auto" | "float32" | "bfloat16",
  device: Device,
  host: HostArithmetic,
): "float32" | "bfloat16" {
  if (asked !== "auto") return asked;
  return device !== "cpu" || multipliesBFloat16(host) ? "bfloat16" : "float32";
}

/**
 * Whether the CPU has instructions for products of bf16 and libtorch multiplies through oneDNN, which uses them. Elsewhere
 * such products are emulated, thirty times slower than in fp32.
 */
function multipliesBFloat16({ cpuinfo, config }: HostArithmetic): boolean {
  const features = cpuFeatures(cpuinfo);
  const instructions = features.includes("AVX512-BF16") || features.includes("AMX-BF16");
  return instructions && /\bUSE_MKLDNN=(ON|1)\b/.test(config);
}
