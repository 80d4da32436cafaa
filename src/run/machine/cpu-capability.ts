/** The vector code that libtorch chose, such as `AVX2`, from its description of its build. */
export function cpuCapability(config: string): string {
  return /CPU capability usage: (\S+)/.exec(config)?.[1] ?? "unknown";
}
