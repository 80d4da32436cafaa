import { readModelConfig } from "../../checkpoint/model-config.js";
import type { FolderWeights } from "../../checkpoint/tensor-reader.js";
import { CrossblockError, EnvironmentError, InputError } from "../../errors.js";
import {
  type CompressedTensorsFolder,
  isCompressedTensors,
  openCompressedTensors,
} from "../../format/compressed-tensors/read.js";
import type { TensorCheck } from "../../format/contract/tensor-check.js";
import { exporters, type FoundExport, primaryFormat } from "../../format/exporters.js";
import { schemeLabel } from "../../format/model-label.js";
import { sourceCensus } from "../../format/source/source-census.js";
import { packageVersion } from "../../package-version.js";
import type { RequestContext } from "../engine/serve-requests.js";
import { type CensusRecord, censusRecord } from "../events/census-record.js";
import type { VerifyEvent } from "../events/events.js";
import type { VerifyOptions } from "../options/commands/verify-options.js";
import { parseResultRecord, type ReadRecord } from "../result/result-file.js";
import { qualityOf, type Scores } from "../result/result-quality.js";
import { graphResultAt } from "../source/graph/graph-result.js";
import type { Certificate, ExportCertificate, RuntimeVerdict } from "./certificate.js";
import { type CheckedExport, type Comparison, checkExport, checkTensors, unreadable } from "./check-export.js";
import { checkResult } from "./check-result.js";
import { compareConfig } from "./compare-config.js";
import { findExports } from "./find-exports.js";
import { certifyGraph } from "./graph/certify-graph.js";
import { modelTensors } from "./model-tensors.js";
import { openSourceModel } from "./open-source-model.js";
import { type JudgeInput, type Judgement, judgeRuntime } from "./runtime/judge-runtime.js";
import { ownLogits } from "./runtime/own-logits.js";
import { onChecked, tell, unopened } from "./told-export.js";
import { verdictOf } from "./verdict.js";

type Context = RequestContext<VerifyEvent>;
/** What the runtimes' logits are held against, and where the runtimes are looked for. */
type Judges = Pick<JudgeInput, "own" | "project">;

/** A result's folder, and what is to be checked in it and how. */
export type Checks = Pick<VerifyOptions, "export" | "format" | "model" | "runtimes" | "project" | "device"> & {
  readonly folder: string;
  /** False leaves the source model alone, wherever it is. Defaults to true. */
  readonly comparesSource?: boolean;
};

/**
 * Checks a result and its exports; places are as they are here.
 *
 * @throws InputError for a folder that is no result
 */
export async function certify({ folder, ...options }: Checks, context: Context): Promise<Certificate> {
  const graph = await graphResultAt(folder);
  if (graph !== null) return certifyGraph(graph, options, context);
  await assertResult(folder);
  const found = await findExports(folder, options.export, options.format);
  const itself: FoundExport = { format: primaryFormat, path: folder };
  const certificates: ExportCertificate[] = [];
  const add = (certificate: ExportCertificate): void => {
    certificates.push(certificate);
    tell(certificate, context);
  };
  let scheme: string | null = null;
  let census: CensusRecord | null = null;
  let quality: Scores | null = null;
  let missing: string | null = null;
  const opened = await openOrUnreadable(folder);
  if (opened instanceof CrossblockError) {
    add({ ...unopened(itself), disagreements: [unreadable(opened, folder)] });
  } else {
    using result = opened;
    scheme = schemeLabel(result);
    const counted = sourceCensus(result);
    census = counted === null ? null : censusRecord(counted, result.linears.keys());
    const leftOut = new Set(census?.leftOut.flatMap(({ tensors }) => tensors));
    const record = result.record === null ? null : parseResultRecord(result.record, folder);
    quality = qualityOf(result.record);
    const why = result.record?.["qualityMissing"];
    missing = typeof why === "string" ? why : null;
    using source = options.comparesSource === false ? null : await openSourceModel(options.model, record, folder);
    const own = await verifyItself(itself, { result, record, source, leftOut }, context);
    add(own);
    const comparison: Omit<Comparison, "onTensor"> = {
      result,
      recorded: record?.fingerprints?.linears ?? null,
      damaged: new Set(own.tensors.filter(({ status }) => status !== "same").map(({ name }) => name)),
    };
    const logits = lazy(() => {
      context.emit({ event: "progress", stage: "computing logits", done: 0, total: 0 });
      return ownLogits(folder, options.device, context);
    });
    const judges = options.runtimes ? { own: logits, project: options.project } : null;
    for (const each of found) add(await verifyExport(each, { ...comparison, leftOut }, own.untouched, judges, context));
  }
  return {
    version: packageVersion(),
    created: new Date().toISOString(),
    result: folder,
    scheme,
    census,
    agrees: certificates.every(({ agrees }) => agrees),
    verdict: verdictOf(certificates, quality, missing),
    exports: certificates,
  };
}

/** @throws InputError for a folder that is no result */
async function assertResult(folder: string): Promise<void> {
  if (isCompressedTensors(await readModelConfig(folder))) return;
  throw new InputError({
    where: folder,
    what: "is no result of crossblock",
    why: "its config.json tells of no compressed-tensors weights",
    next: "give the folder that `crossblock quantize` wrote; exports are named with --export",
  });
}

async function openOrUnreadable(folder: string): Promise<CompressedTensorsFolder | CrossblockError> {
  try {
    return await openCompressedTensors(folder);
  } catch (error) {
    // Damage is what verify is there to report; a disk that fails is another matter.
    if (error instanceof CrossblockError && !(error instanceof EnvironmentError)) return error;
    throw error;
  }
}

interface ResultToVerify {
  readonly result: CompressedTensorsFolder;
  readonly record: ReadRecord | null;
  /** The model that was quantized, where it can be reached. */
  readonly source: FolderWeights | null;
  /** Tensors that the network does not read. */
  readonly leftOut: ReadonlySet<string>;
}

async function verifyItself(
  itself: FoundExport,
  { result, record, source, leftOut }: ResultToVerify,
  context: Context,
): Promise<ExportCertificate> {
  const fingerprints = record?.fingerprints ?? null;
  if (fingerprints === null) {
    context.emit({
      event: "warning",
      where: itself.path,
      message: "the result records no hashes, so that its own codes can't be checked, only the exports against them",
      next: "quantize again with this version to have them",
    });
  }
  async function* checkFolder(): AsyncGenerator<TensorCheck, void, undefined> {
    yield compareConfig(result, record?.network ?? null);
    yield* checkResult(result, fingerprints, source === null ? null : modelTensors(result, source));
  }
  const { tensors, disagreements } = await checkTensors(checkFolder(), 1 + result.linears.size + result.plain.size, {
    recorded: fingerprints?.linears ?? null,
    damaged: new Set(),
    onTensor: onChecked(itself, context),
  });
  const comparedWith = source !== null ? "source model" : fingerprints !== null ? "recorded hashes" : "nothing";
  using opened = await exporters[itself.format].open(itself.path);
  return {
    ...itself,
    agrees: disagreements.length === 0,
    filesAgree: disagreements.length === 0,
    runtimesAgree: null,
    plannedBytes: opened.plannedBytes(result),
    bytes: opened.bytes,
    untouched: { comparedWith, tensors: result.plain.size - (fingerprints?.changed.length ?? 0) },
    leftOut: keptAndOmitted(leftOut, tensors),
    disagreements,
    notes: opened.notes(result),
    runtime: { status: "absent", why: "crossblock's own network computes from this folder" },
    tensors,
  };
}

async function verifyExport(
  found: FoundExport,
  { leftOut, ...comparison }: Omit<Comparison, "onTensor"> & Pick<ResultToVerify, "leftOut">,
  ofResult: ExportCertificate["untouched"],
  judges: Judges | null,
  context: Context,
): Promise<ExportCertificate> {
  const { result, damaged } = comparison;
  const checked = await checkExport(found, { ...comparison, onTensor: onChecked(found, context) });
  const judged = await judgement(found, checked, comparison, judges, context);
  const disagreements = [...checked.disagreements, ...judged.disagreements];
  // Compared with the result, whose own tensors were compared with the source model's: the same holds for the export.
  const left = keptAndOmitted(leftOut, checked.tensors);
  const untouched: ExportCertificate["untouched"] =
    ofResult.comparedWith === "source model" && damaged.size === 0
      ? { ...ofResult, tensors: ofResult.tensors - left.omitted }
      : {
          comparedWith: "result",
          tensors: checked.tensors.filter(({ source }) => source !== null && result.plain.has(source)).length,
        };
  return {
    ...checked,
    agrees: disagreements.length === 0,
    filesAgree: checked.disagreements.length === 0,
    runtimesAgree: hasRun(judged) ? judged.disagreements.length === 0 : null,
    untouched,
    leftOut: left,
    disagreements,
    notes: [...checked.notes, ...judged.notes],
    runtime: judged.verdict,
  };
}

/** A runtime that stopped has run: what it said is an error. */
function hasRun({ verdict, disagreements }: Judgement): boolean {
  return verdict.status !== "absent" || disagreements.length > 0;
}

async function judgement(
  found: FoundExport,
  { disagreements, tensors }: CheckedExport,
  { result, damaged }: Omit<Comparison, "onTensor">,
  judges: Judges | null,
  { emit, signal }: Context,
): ReturnType<typeof judgeRuntime> {
  const absent = (why: string): { verdict: RuntimeVerdict; disagreements: []; notes: [] } => ({
    verdict: { status: "absent", why },
    disagreements: [],
    notes: [],
  });
  if (judges === null) return absent("runtimes were left out, as asked");
  if (disagreements.length > 0) return absent("the export is wrong already");
  if (damaged.size > 0) return absent("the result is damaged, so that its network is no reference");
  const losses = tensors.flatMap(({ status, relativeError }) =>
    status === "lossy" ? [relativeError ?? Number.POSITIVE_INFINITY] : [],
  );
  const loss = losses.length === 0 ? null : Math.max(...losses);
  const onRun = (): void => emit({ event: "progress", stage: `running ${found.path}`, done: 0, total: 0 });
  return judgeRuntime({ found, result, loss, ...judges, onRun, signal });
}

/** What a file does with tensors that the network does not read, by what was found in it. */
function keptAndOmitted(
  leftOut: ReadonlySet<string>,
  tensors: ExportCertificate["tensors"],
): ExportCertificate["leftOut"] {
  // A quantized Linear goes by its module.
  const isLeftOut = (name: string): boolean => leftOut.has(name) || leftOut.has(`${name}.weight`);
  const kept = tensors.filter(({ source }) => source !== null && isLeftOut(source)).length;
  return { kept, omitted: leftOut.size - kept };
}

function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}
