/** The library that multiplies matrices on the CPU. */
export interface Blas {
  readonly name: "OpenBLAS" | "MKL" | "BLIS" | "ATLAS" | "reference" | "unknown";
  /** Its file; null where it is a part of libtorch. */
  readonly path: string | null;
}

const LIBRARIES: readonly (readonly [RegExp, Blas["name"]])[] = [
  [/openblas/, "OpenBLAS"],
  [/libmkl_/, "MKL"],
  [/libblis/, "BLIS"],
  [/atlas/, "ATLAS"],
  [/\/libblas\.so/, "reference"],
];

/**
 * Tells which BLAS an engine that is loaded uses. What the system's `libblas.so.3` is can be exchanged under
 * libtorch, so the files in memory tell more than how libtorch was built.
 *
 * @param config libtorch's description of its build
 * @param maps content of `/proc/self/maps`; empty on other systems than Linux
 */
export function blasInUse(config: string, maps: string): Blas {
  const files = maps.split("\n").map((line) => /\s(\/.*)$/.exec(line)?.[1] ?? "");
  for (const [pattern, name] of LIBRARIES) {
    const path = files.find((file) => pattern.test(file));
    if (path !== undefined) return { name, path };
  }
  return { name: /Math Kernel Library/.test(config) ? "MKL" : "unknown", path: null };
}
