/** What speeds up arithmetic on a CPU: the kernel's names on x86 and on ARM, and ours. */
const FEATURES: readonly (readonly [string, string])[] = [
  ["avx2", "AVX2"],
  ["fma", "FMA"],
  ["f16c", "F16C"],
  ["avx512f", "AVX512"],
  ["avx512_vnni", "AVX512-VNNI"],
  ["avx512_bf16", "AVX512-BF16"],
  ["avx512_fp16", "AVX512-FP16"],
  ["amx_bf16", "AMX-BF16"],
  ["amx_int8", "AMX-INT8"],
  ["asimd", "NEON"],
  ["asimdhp", "FP16"],
  ["bf16", "BF16"],
  ["i8mm", "I8MM"],
  ["sve", "SVE"],
];

/** Names the vector features of the first processor in the text of `/proc/cpuinfo`. */
export function cpuFeatures(cpuinfo: string): string[] {
  const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(/\s+/));
  return FEATURES.filter(([flag]) => flags.has(flag)).map(([, name]) => name);
}
