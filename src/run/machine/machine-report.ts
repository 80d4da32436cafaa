import type { LibtorchSource } from "../../../native/build/build.mjs";
import type { Blas } from "./blas.js";

/** Something that keeps crossblock from working, or from working well, and how to mend it. */
export interface MachineProblem {
  /** An error keeps crossblock from working; a warning costs speed or may end a run. */
  readonly severity: "error" | "warning";
  readonly what: string;
  /** The next action: a command to run, a value to change. */
  readonly next: string;
}

/** Where tensors can be. */
export interface MachineDevice {
  readonly device: string;
  readonly name: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** What `crossblock doctor` found. Plain data: `JSON.stringify` gives the line that `--json` prints. All sizes in bytes. */
export interface MachineReport {
  readonly event: "doctor";
  readonly platform: string;
  readonly node: { readonly version: string; readonly path: string };
  readonly cpu: {
    readonly model: string;
    /** Processors that this process may use. */
    readonly processors: number;
    /** Vector features of the processor, "AVX2" and the like. */
    readonly features: readonly string[];
  };
  readonly libtorch: {
    readonly version: string;
    readonly path: string;
    readonly source: LibtorchSource;
    /** Whether it was built with CUDA. */
    readonly cuda: boolean;
  } | null;
  readonly compiler: string | null;
  /** `path` is null without libtorch, `compiled` false where compiling or loading it failed. */
  readonly addon: { readonly path: string | null; readonly compiled: boolean };
  /** Null where the addon can't be loaded. */
  readonly engine: {
    /** Threads that one operator uses. */
    readonly threads: number;
    /** The vector instructions that libtorch uses: "AVX2", "AVX512", "DEFAULT". */
    readonly capability: string;
    readonly blas: Blas;
  } | null;
  /** The CPU first; its memory is what this process may still use. */
  readonly devices: readonly MachineDevice[];
  readonly disk: readonly { readonly folder: string; readonly freeBytes: number }[];
  readonly problems: readonly MachineProblem[];
}
