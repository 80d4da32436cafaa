import type { LogitsComparison } from "../../evaluate/compare-logits.js";
import type { OutputDistance } from "../../evaluate/outputs/output-comparison.js";
import type { WeightHash } from "../../format/bits/weight-hash.js";
import type { CensusRecord } from "../events/census-record.js";
import type { CertificateVerdict } from "./verdict.js";

/** The verdict on one tensor, as the certificate keeps it. */
export interface CertifiedTensor {
  /** Name in the export. */
  readonly name: string;
  /** Module or tensor of the result; null for what no result has. */
  readonly source: string | null;
  /**
   * `same`, or `lossy` where a loss was asked for; `different`, `missing` and `unexpected` are wrong; `unchecked` where
   * the result's own tensor is damaged, so that nothing is there to compare with.
   */
  readonly status: "same" | "lossy" | "different" | "missing" | "unexpected" | "unchecked";
  readonly detail?: string;
  /** Of a lossy tensor: mean squared error relative to the mean square of the values. */
  readonly relativeError?: number;
  /** SHA-256 of codes and scales as the decoder found them in the export. */
  readonly hash?: WeightHash;
  /** The same of the result, recorded before anything was written; null where no record is. */
  readonly recorded?: WeightHash | null;
}

/** Something that is not as it should be. */
export interface Disagreement {
  /** The tensor, or what else disagrees: `metadata`, `size`, `logits`, `tokenizer`. */
  readonly tensor: string;
  readonly what: string;
}

/** A comparison of token ids. */
export interface TextsVerdict {
  /** Texts that both tokenizers cut. */
  readonly compared: number;
  /** Those of them that were cut into other tokens; the first are among the disagreements. */
  readonly different: number;
}

/** What an independent runtime made of an export, on fixed tokens. */
export type RuntimeVerdict =
  | {
      readonly status: "agrees" | "disagrees";
      readonly runtime: string;
      readonly tokens: number;
      /** The export itself: the runtime's own arithmetic is part of the difference. */
      readonly asWritten: LogitsComparison;
      /** The same weights in the same runtime, in fp32 throughout: without its own rounding. Null when too large. */
      readonly sameWeights: LogitsComparison | null;
      /** How the runtime cuts texts of every kind into tokens; null where its file holds no tokenizer. */
      readonly texts: TextsVerdict | null;
      readonly note: string;
    }
  | GraphVerdict
  | { readonly status: "absent"; readonly why: string };

/** What an independent runtime made of a graph, on fixed inputs. */
export interface GraphVerdict {
  readonly status: "agrees" | "disagrees";
  readonly runtime: string;
  readonly examples: number;
  readonly outputs: OutputDistance;
  readonly note: string;
}

/** What unquantized tensors were compared with. */
export type UntouchedReference = "source model" | "recorded hashes" | "result" | "nothing";

/** The part of a certificate on one file or folder. */
export interface ExportCertificate {
  readonly format: string;
  /** Relative to the result; of an export elsewhere how it lies beside it, or its name alone. */
  readonly path: string;
  readonly agrees: boolean;
  /** What was read back from the files is what it should be. */
  readonly filesAgree: boolean;
  /** What runtimes made of it is what it should be; null where none ran. */
  readonly runtimesAgree: boolean | null;
  /** Exact size by the plan, and found: of the whole file for GGUF, of all tensors for folders. */
  readonly plannedBytes: number | null;
  readonly bytes: number | null;
  readonly untouched: { readonly comparedWith: UntouchedReference; readonly tensors: number };
  /** Of the tensors that the network does not read: how many it keeps, and how many it has no place for. */
  readonly leftOut: { readonly kept: number; readonly omitted: number };
  readonly disagreements: readonly Disagreement[];
  /** What the format can't express of this model: whole sentences, as the export told them. */
  readonly notes: readonly string[];
  readonly runtime: RuntimeVerdict;
  readonly tensors: readonly CertifiedTensor[];
}

/** What `verify` found; `certificate.json` holds it. */
export interface Certificate {
  /** Version of crossblock that checked. */
  readonly version: string;
  readonly created: string;
  /** The name of the result's folder, or the result's own on the hub. */
  readonly result: string;
  readonly scheme: string | null;
  /** What the network reads of the result's tensors; null for a network that crossblock does not compute, or a result that can't be read. */
  readonly census: CensusRecord | null;
  /** True when nothing disagrees. */
  readonly agrees: boolean;
  readonly verdict: CertificateVerdict;
  /** The result itself first. */
  readonly exports: readonly ExportCertificate[];
}
