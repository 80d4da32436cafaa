export type LibtorchSource = "CROSSBLOCK_LIBTORCH" | "python" | "system";

/** One libtorch of this machine. */
export interface Libtorch {
  /** A torch package folder, an unpacked libtorch, or a prefix such as /usr. */
  readonly root: string;
  readonly includes: readonly string[];
  readonly libraryFolder: string;
  /** "1.13.1"; for a pip package with its build, "2.11.0+cu130". */
  readonly version: string;
  /** Whether it was built with CUDA; says nothing about this machine's devices. */
  readonly cuda: boolean;
  readonly source: LibtorchSource;
}

export interface Compiler {
  readonly path: string;
  /** What CXX carries besides the compiler. */
  readonly args: readonly string[];
}

export interface EnsureOptions {
  /** Receives the one line that says that the addon is being compiled; standard error by default. */
  readonly log?: (line: string) => void;
  readonly env?: NodeJS.ProcessEnv;
  /** The folder for compiled addons; {@link cacheFolder} by default. */
  readonly cache?: string;
}

/** Why the native addon cannot be had, in the fields of crossblock's typed errors. */
export class BuildError extends Error {
  constructor(details: { what: string; where?: string; why?: string; next: string });
  readonly what: string;
  readonly where: string | undefined;
  readonly why: string | undefined;
  readonly next: string;
}

/**
 * Finds libtorch: CROSSBLOCK_LIBTORCH, then the torch of the active python3, then the system's (libtorch-dev).
 * Null when there is none that is 1.13 or newer; throws {@link BuildError} when CROSSBLOCK_LIBTORCH names none.
 */
export function findLibtorch(env?: NodeJS.ProcessEnv): Libtorch | null;

/** The C++ compiler: CXX, then g++, then clang++. */
export function findCompiler(env?: NodeJS.ProcessEnv): Compiler | null;

/** Where compiled addons are kept: `.cache/` of a checkout, else the user's cache folder. */
export function cacheFolder(env?: NodeJS.ProcessEnv): string;

/** The addon's file for one libtorch, whether it was compiled yet or not. */
export function addonPath(libtorch: Libtorch, cache?: string): string;

/**
 * The compiled addon for the libtorch of this machine; compiles it (blocking, about 15 s) if that was not done yet.
 * Throws {@link BuildError} without libtorch, without a compiler, or when the compilation fails.
 */
export function ensureAddon(options?: EnsureOptions): string;

export interface CompileOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** The folder for compiled addons; {@link cacheFolder} by default. */
  readonly cache?: string;
  /** Stops the compilation. */
  readonly signal?: AbortSignal | undefined;
}

/** A compilation under way. */
export interface Compiling {
  /** Of libtorch. */
  readonly version: string;
  /** The path of the .node file. Rejects with a {@link BuildError}, or with the reason of the signal. */
  readonly done: Promise<string>;
  /** The parts that the compiler is at. */
  waitingFor(): readonly string[];
}

/**
 * Compiles the addon if that was not done yet, beside other work. Null where it is there already; throws {@link BuildError}
 * without libtorch or a compiler.
 */
export function compileAddon(options?: CompileOptions): Compiling | null;

/** What apt must install on Debian and Ubuntu. */
export const APT_PACKAGES: readonly string[];

/** Whether this machine installs its software with apt. */
export function usesApt(): boolean;

/** The command that installs apt packages, with sudo unless the user is root. */
export function aptCommand(packages: readonly string[]): string;

/** How to get libtorch on this machine. */
export function libtorchHint(): string;

/** How to get a C++ compiler on this machine. */
export function compilerHint(): string;
