import { CrossblockError } from "../../errors.js";
import type { ExportSource } from "../../format/contract/export-source.js";
import type { OpenedExport } from "../../format/contract/exporter.js";
import type { TensorCheck } from "../../format/contract/tensor-check.js";
import { exporters, type FoundExport } from "../../format/exporters.js";
import type { CertifiedTensor, Disagreement, ExportCertificate } from "./certificate.js";

/** What every check of a file or folder yields; the runtime's verdict is added later. */
export type CheckedExport = Omit<
  ExportCertificate,
  "agrees" | "filesAgree" | "runtimesAgree" | "runtime" | "untouched" | "leftOut"
>;

/** What the export is compared with. */
export interface Comparison {
  readonly result: ExportSource;
  /** Hashes of codes and scales by module; what was recorded when the result was made. */
  readonly recorded: Readonly<Record<string, NonNullable<CertifiedTensor["recorded"]>>> | null;
  /** Modules and tensors of the result that are wrong themselves. */
  readonly damaged: ReadonlySet<string>;
  readonly onTensor: (done: number, total: number) => void;
}

/** Checks one export. A file that can't be opened is a disagreement, and not an error. */
export async function checkExport(found: FoundExport, comparison: Comparison): Promise<CheckedExport> {
  const facts = { format: found.format, path: found.path };
  try {
    using opened = await exporters[found.format].open(found.path);
    const checked = await checkTensors(opened.check(comparison.result), opened.tensorCount, comparison);
    const notes = opened.notes(comparison.result);
    return { ...facts, ...checked, ...sizes(opened, comparison.result, checked.disagreements), notes };
  } catch (error) {
    if (!(error instanceof CrossblockError)) throw error;
    return {
      ...facts,
      plannedBytes: null,
      bytes: null,
      tensors: [],
      notes: [],
      disagreements: [unreadable(error, found.path)],
    };
  }
}

/** The disagreement that an error stands for: it names the tensor where it can. */
export function unreadable(error: CrossblockError, path: string): Disagreement {
  return { tensor: error.where ?? path, what: error.why === undefined ? error.what : `${error.what} (${error.why})` };
}

/** Gathers verdicts on tensors. */
export async function checkTensors(
  checks: AsyncIterable<TensorCheck>,
  total: number,
  { recorded, damaged, onTensor }: Pick<Comparison, "recorded" | "damaged" | "onTensor">,
): Promise<{ readonly tensors: readonly CertifiedTensor[]; readonly disagreements: readonly Disagreement[] }> {
  const tensors: CertifiedTensor[] = [];
  for await (const check of checks) {
    const certified = certify(check, recorded, damaged);
    tensors.push(certified);
    onTensor(tensors.length, Math.max(total, tensors.length));
  }
  const disagreements = tensors
    .filter(({ status }) => status === "different" || status === "missing" || status === "unexpected")
    .map(({ name, source, status, detail }) => ({
      tensor: source === null || source === name ? name : `${name} (${source})`,
      what: detail ?? (status === "missing" ? "is missing" : "belongs to no tensor of the result"),
    }));
  return { tensors, disagreements };
}

function certify(check: TensorCheck, recorded: Comparison["recorded"], damaged: ReadonlySet<string>): CertifiedTensor {
  const { source, hash } = check;
  const own = source === null ? null : (recorded?.[source] ?? null);
  const certified: CertifiedTensor = hash === undefined ? check : { ...check, recorded: own };
  const sameHash = hash !== undefined && own !== null && hash.codes === own.codes && hash.scales === own.scales;
  if (check.status === "same" && hash !== undefined && own !== null && !sameHash) {
    return {
      ...certified,
      status: "different",
      detail: "its codes and scales are the result's, but not those recorded",
    };
  }
  if (check.status !== "different" || source === null || !damaged.has(source)) return certified;
  // The export may well be right where the result is not: the record tells, as far as it goes.
  const { detail: _, ...rest } = certified;
  if (sameHash) return { ...rest, status: "same" };
  return { ...rest, status: "unchecked", detail: "the result's own tensor is damaged" };
}

function sizes(
  opened: OpenedExport,
  result: ExportSource,
  disagreements: readonly Disagreement[],
): Pick<CheckedExport, "plannedBytes" | "bytes" | "disagreements"> {
  const { bytes } = opened;
  const plannedBytes = opened.plannedBytes(result);
  if (bytes === plannedBytes) return { bytes, plannedBytes, disagreements };
  const size = { tensor: "size", what: `${bytes} bytes instead of ${plannedBytes}` };
  return { bytes, plannedBytes, disagreements: [...disagreements, size] };
}
