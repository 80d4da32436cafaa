import type { ActivationQuantization, QuantizedLayout } from "../contract/export-source.js";
import { hasExperts, unreadByTransformers } from "../transformers-unread.js";
import { type StorageFormat, storageOf } from "./layout.js";

type Activations = "none" | "int8 token" | "int8 tensor" | "int4 token" | "int4 tensor";

/** One combination that a reader takes. An absent field puts no limit. */
export interface ReaderRow {
  readonly reader: string;
  readonly storage: StorageFormat;
  readonly bits: readonly number[];
  readonly symmetric: readonly boolean[];
  readonly activations: readonly Activations[];
  /** Group sizes of the fast kernel; 0 stands for one group per row. */
  readonly fastGroups?: readonly number[];
  readonly note: string;
}

const all = [2, 3, 4, 5, 6, 7, 8];
const both = [true, false];

/**
 * Who loads what: from vLLM's `compressed_tensors.py` and its schemes, its pull requests 34556, 43800, 44340, 46390
 * and 48918, and transformers 5.23 with compressed-tensors 0.20, which was run.
 */
export const READERS: readonly ReaderRow[] = [
  {
    reader: "transformers",
    storage: "pack-quantized",
    bits: all,
    symmetric: [true],
    activations: ["none", "int8 token", "int8 tensor", "int4 token", "int4 tensor"],
    note: "decompresses at the first forward pass; activations are fake-quantized",
  },
  {
    reader: "transformers with CompressedTensorsConfig(dequantize=True)",
    storage: "pack-quantized",
    bits: all,
    symmetric: [false],
    activations: ["none"],
    note: "without that option it expects unpacked zero points and refuses; all Linears must share one scheme",
  },
  {
    reader: "transformers",
    storage: "int-quantized",
    bits: [8],
    symmetric: both,
    activations: ["none", "int8 token", "int8 tensor"],
    note: "decompresses at the first forward pass; activations are fake-quantized",
  },
  {
    reader: "vLLM",
    storage: "pack-quantized",
    bits: [4, 8],
    symmetric: both,
    activations: ["none"],
    fastGroups: [0, 32, 64, 128],
    note: "Marlin kernels",
  },
  {
    reader: "vLLM from mid-2026",
    storage: "pack-quantized",
    bits: [2, 3, 5, 6, 7],
    symmetric: [true],
    activations: ["none"],
    note: "Humming kernels",
  },
  {
    reader: "vLLM from mid-2026",
    storage: "pack-quantized",
    bits: all,
    symmetric: [true],
    activations: ["int8 token", "int4 token"],
    note: "Humming kernels; they know no learnt clip factor",
  },
  {
    reader: "vLLM",
    storage: "int-quantized",
    bits: [8],
    symmetric: [true],
    activations: ["int8 token", "int8 tensor"],
    fastGroups: [0],
    note: "int8 kernels",
  },
];

/** A row that takes a given Linear, and whether its fast kernel does. */
export interface Reading {
  readonly reader: string;
  readonly note: string;
  readonly fast: boolean;
}

/**
 * Readers of a Linear with this layout. `fast` also asks for Marlin's shapes, before tensor parallelism splits them:
 * out a multiple of 64, in a multiple of 128.
 */
export function whatLoads(layout: QuantizedLayout, activations: ActivationQuantization | null): readonly Reading[] {
  const storage = storageOf(layout, activations);
  const kind: Activations = activations === null ? "none" : `int${activations.bits} ${activations.granularity}`;
  return READERS.filter(
    (row) =>
      row.storage === storage &&
      row.bits.includes(layout.bits) &&
      row.symmetric.includes(layout.symmetric) &&
      row.activations.includes(kind),
  ).map(({ reader, note, fastGroups }) => ({
    reader,
    note,
    fast: fastGroups === undefined || isFast(layout, fastGroups),
  }));
}

function isFast(layout: QuantizedLayout, groups: readonly number[]): boolean {
  const group = layout.perChannel ? 0 : layout.groupSize;
  return groups.includes(group) && layout.rows % 64 === 0 && layout.columns % 128 === 0;
}

/**
 * Why the activation quantization of a result is a simulation: no runtime's integer kernels execute it, so that a
 * reader computes something else than what was optimised. Null when one does, or when activations stay as they are.
 */
export function simulationNote(
  layouts: Iterable<QuantizedLayout>,
  activations: ActivationQuantization | null,
): string | null {
  if (activations === null) return null;
  const inputs = `${activations.bits}-bit activations per ${activations.granularity}`;
  if (activations.bits === 4) return `${inputs}: fake-quantized in crossblock and transformers, no integer kernels`;
  for (const layout of layouts) {
    const runs = whatLoads(layout, activations).some(({ reader }) => !reader.startsWith("transformers"));
    if (!runs) {
      return `${inputs} with ${layout.bits}-bit weights: fake-quantized in crossblock and transformers, no integer kernels`;
    }
  }
  return null;
}

/**
 * Families of which transformers 5.24 keeps quantized weights elsewhere than in Linears, all of them or those of experts: it
 * leaves what is stored unread, fills its own tensors with random numbers, and only warns. Found by running it on a network of
 * every family (`bench/judge/compare-logits.mjs`).
 */
const unread: ReadonlyMap<string, "all" | "experts"> = new Map([
  ["gpt2", "all"],
  ["gpt_oss", "experts"],
  ["granitemoe", "experts"],
  ["granitemoeshared", "experts"],
  ["gemma4_text", "experts"],
]);

/** What to know of a folder that transformers would fill with random numbers; null for all others. */
export function transformersNote(family: string, linears: Iterable<string>): string | null {
  const what = unread.get(family);
  const found = what === "experts" ? hasExperts(linears) : what === "all" && [...linears].length > 0;
  if (!found) return null;
  const note = unreadByTransformers(what === "all" ? "these weights" : "these experts");
  return `${note} crossblock reads this folder; for others take --format gguf.`;
}
