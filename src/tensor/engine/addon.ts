import { createRequire } from "node:module";
import { ensureAddon } from "../../../native/build/build.mjs";
import { EnvironmentError } from "../../errors.js";
import { defaultThreads, letThreadsSleep } from "./thread-defaults.js";

/** A tensor's name in the addon: a slot and its generation, so that stale ones are recognised. */
export type Handle = number;

/** What an operator argument or result holds, as far as TypeScript must convert it. */
export type Kind = "Tensor" | "Tensor?" | "Tensor[]" | "Tensor?[]" | "Generator" | "value";

/** An operator that the dispatcher found. */
export interface FoundOperator {
  readonly id: number;
  readonly arguments: readonly { readonly name: string; readonly kind: Kind }[];
  readonly returns: readonly Kind[];
  /** Kinds of device with a kernel of its own, not composed of other operators. */
  readonly devices: readonly string[];
}

/** Work of a GPU that can be replayed. */
export type RecordedGraph = { readonly brand: unique symbol };

/** The typed mirror of `native/addon.cpp`. */
export interface Addon {
  findOperator(name: string, overload: string): FoundOperator | null;
  callOperator(
    id: number,
    positional: readonly unknown[],
    keywords: Readonly<Record<string, unknown>> | undefined,
    discard: boolean,
  ): unknown;
  fromBuffer(buffer: ArrayBufferLike, byteOffset: number, shape: readonly number[], dtype: number): Handle;
  toBuffer(handle: Handle): ArrayBuffer;
  describe(handle: Handle): { shape: number[]; dtype: number; device: string; requiresGrad: boolean };
  release(handle: Handle): boolean;
  liveTensors(): number;
  setGradEnabled(enabled: boolean): boolean;
  setRequiresGrad(handle: Handle, requires: boolean): void;
  gradOf(handle: Handle): Handle | null;
  clearGrad(handle: Handle): void;
  backward(outputs: readonly Handle[], gradients: readonly Handle[] | null): void;
  gradients(
    outputs: readonly Handle[],
    gradients: readonly Handle[] | null,
    inputs: readonly Handle[],
  ): (Handle | null)[];
  attachBackward(
    output: Handle,
    inputs: readonly Handle[],
    saved: readonly Handle[],
    backward: (gradient: Handle | null, saved: Handle[]) => (Handle | null)[],
  ): void;
  engineFacts(): {
    torchVersion: string;
    config: string;
    threads: number;
    cudaDevices: string[];
    computeCapabilities: number[];
  };
  setThreads(threads: number): void;
  manualSeed(seed: number): void;
  newGenerator(device: string, seed: number): Handle;
  releaseGenerator(handle: Handle): boolean;
  synchronize(device?: number): void;
  releaseCachedMemory(): number;
  deviceMemory(index: number): { free: number; total: number; used: number | null; peak: number | null };
  resetPeakMemory(index: number): void;
  /** Null is the host. False where the limit can't be kept: the addon was compiled without CUDA's headers. */
  limitMemory(index: number | null, bytes: number): boolean;
  setDeterministic(on: boolean): void;
  /** Triples of descriptor, offset and length. False where the system has no way to. */
  readAhead(ranges: readonly number[]): boolean;
  /** Whether there is one: not when the addon was compiled without CUDA's headers. */
  useOwnStream(device: number): boolean;
  captureGraph(device: number, body: () => void): RecordedGraph;
  replayGraph(graph: RecordedGraph): void;
  releaseGraph(graph: RecordedGraph): void;
}

let loaded: Addon | undefined;

/** The addon of this thread, compiled at first use; an EnvironmentError says what is missing. */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  try {
    letThreadsSleep();
    const path = ensureAddon({ log: (line: string) => process.stderr.write(`${line}\n`) });
    const native = createRequire(import.meta.url)(path) as Addon;
    const threads = defaultThreads();
    if (threads !== null) native.setThreads(threads);
    return native;
  } catch (error) {
    const detail = error as Partial<{ what: string; next: string; message: string }>;
    throw new EnvironmentError({
      what: detail.what ?? `the libtorch addon can't be loaded: ${detail.message ?? String(error)}`,
      next: detail.next ?? "run `crossblock doctor`",
      cause: error,
    });
  }
}
