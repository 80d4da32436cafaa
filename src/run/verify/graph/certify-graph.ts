import { join } from "node:path";
import { z } from "zod";
import { CrossblockError, FormatError, InputError } from "../../../errors.js";
import { bytesHash, weightHash } from "../../../format/bits/weight-hash.js";
import type { ExportSource } from "../../../format/contract/export-source.js";
import { isKeyed } from "../../../format/contract/input-grid.js";
import type { TensorCheck } from "../../../format/contract/tensor-check.js";
import { exporters, type FoundExport } from "../../../format/exporters.js";
import { QdqFile } from "../../../format/qdq/read.js";
import { type CutGraph, GraphNetwork, GraphTensors } from "../../../network/index.js";
import { packageVersion } from "../../../package-version.js";
import { scope, Tensor } from "../../../tensor/index.js";
import { foldBatchNorms } from "../../../transform/batch-norm/fold-batch-norm.js";
import type { RequestContext } from "../../engine/serve-requests.js";
import type { VerifyEvent } from "../../events/events.js";
import { graphFile, graphFormat } from "../../options/graph/is-graph.js";
import type { ReadRecord } from "../../result/result-file.js";
import { qualityOf } from "../../result/result-quality.js";
import { GraphFile } from "../../source/graph/graph-file.js";
import type { GraphResult } from "../../source/graph/graph-result.js";
import { recordedSource } from "../../source/recorded-source.js";
import type { Certificate, Disagreement, ExportCertificate } from "../certificate.js";
import type { Checks } from "../certify.js";
import { checkTensors, unreadable } from "../check-export.js";
import { onChecked, tell, unopened } from "../told-export.js";
import { verdictOf } from "../verdict.js";
import { judgeGraph } from "./judge-graph.js";

type Context = RequestContext<VerifyEvent>;

/**
 * Checks the result of a graph: its codes by the hashes that were recorded before they were written, everything else byte for byte
 * against the source graph where that can be reached, and its outputs in onnxruntime.
 */
export async function certifyGraph(
  { folder, record, value }: GraphResult,
  options: Omit<Checks, "folder">,
  context: Context,
): Promise<Certificate> {
  if (options.export.length > 0) {
    throw new InputError({
      where: options.export[0] ?? "",
      what: "exports are those of language models; the result of a graph is ONNX itself",
      next: "leave --export out",
    });
  }
  const path = join(folder, graphFile);
  const found: FoundExport = { format: graphFormat, path };
  const missing = (value as { readonly qualityMissing?: unknown }).qualityMissing;
  const certificate = await verifyFile(found, record, options, folder, context);
  tell(certificate, context);
  const quality = qualityOf(value);
  return {
    version: packageVersion(),
    created: new Date().toISOString(),
    result: folder,
    scheme: record.scheme,
    census: null,
    agrees: certificate.agrees,
    verdict: verdictOf([certificate], quality, typeof missing === "string" ? missing : null),
    exports: [certificate],
  };
}

async function verifyFile(
  found: FoundExport,
  record: ReadRecord,
  { model, runtimes, project, comparesSource = true }: Omit<Checks, "folder">,
  folder: string,
  context: Context,
): Promise<ExportCertificate> {
  const fingerprints = record.fingerprints ?? null;
  try {
    using file = QdqFile.open(found.path);
    using opened = await exporters[graphFormat].open(found.path);
    const named = model ?? (comparesSource ? recordedSource(record, folder) : null);
    using source = named === null ? null : openSource(named, model !== null);
    const result = source === null ? null : resultOf(file, source, record);
    const checks = result === null ? checkCodes(file) : opened.check(result);
    const { tensors, disagreements } = await checkTensors(checks, opened.tensorCount, {
      recorded: fingerprints?.linears ?? null,
      damaged: new Set(),
      onTensor: onChecked(found, context),
    });
    const absent = Object.keys(fingerprints?.linears ?? {}).filter((module) => !file.layers.has(module));
    const wrong = [
      ...disagreements,
      ...absent.map((tensor) => ({ tensor, what: "its codes are gone" })),
      ...otherRanges(file, record),
    ];
    const judged =
      wrong.length > 0
        ? { verdict: { status: "absent", why: "the file is wrong already" } as const, disagreements: [] }
        : runtimes
          ? await judgeGraph(
              found.path,
              { project, shapes: inputShapes(record.network), steps: knownSteps(file) },
              context,
            )
          : { verdict: { status: "absent", why: "runtimes were left out, as asked" } as const, disagreements: [] };
    const all = [...wrong, ...judged.disagreements];
    return {
      ...found,
      agrees: all.length === 0,
      filesAgree: wrong.length === 0,
      runtimesAgree:
        judged.verdict.status === "absent" && judged.disagreements.length === 0
          ? null
          : judged.disagreements.length === 0,
      plannedBytes: result === null ? null : opened.plannedBytes(result),
      bytes: opened.bytes,
      untouched: {
        comparedWith: source === null ? "nothing" : "source model",
        tensors: Math.max(0, opened.tensorCount - file.layers.size),
      },
      leftOut: { kept: 0, omitted: 0 },
      disagreements: all,
      notes: result === null ? [] : opened.notes(result),
      runtime: judged.verdict,
      tensors,
    };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const why = "the file can't be read";
    return {
      ...unopened(found),
      disagreements: [unreadable(error, found.path)],
      runtime: { status: "absent", why },
    };
  }
}

// A model that was named must be there; one that is merely recorded may be gone.
function openSource(path: string, isNamed: boolean): GraphFile | null {
  try {
    return GraphFile.open(path);
  } catch (error) {
    if (isNamed || !(error instanceof CrossblockError)) throw error;
    return null;
  }
}

// What a file should be, by the source and its own codes: these are judged by their hashes.
function resultOf(file: QdqFile, source: GraphFile, record: ReadRecord): ExportSource {
  const { graph } = foldBatchNorms(source.graph);
  const network = GraphNetwork.create(graph, inputShapes(record.network));
  const weights = new GraphTensors(network.cut);
  const coded = new Set([...file.layers.keys()].map((module) => `${module}.weight`));
  const own = ownBiases(file, { cut: network.cut, weights }, record);
  const { activations } = record;
  return {
    name: source.name,
    config: {},
    folder: source.folder,
    linears: new Map([...file.layers].map(([module, { layout }]) => [module, layout])),
    plain: new Map([...weights.tensors].filter(([name]) => !coded.has(name))),
    activations:
      activations === null
        ? null
        : { bits: activations.bits, granularity: "tensor", dynamic: false, zeroPoint: "integer" },
    inputScales: new Map(),
    // These are held against the record.
    inputGrids: file.inputGrids,
    graph: { content: source.content, cut: network.cut },
    readQuantized: async (module) => file.readQuantized(module),
    readPlain: async (name) => own.get(name) ?? weights.readSync(name),
  };
}

/**
 * Biases that the recipe gave layers in place of the source's, as the file has them, where they are what was recorded: their hashes
 * are known, and their numbers follow from nothing else. Others have to be the source's.
 */
function ownBiases(
  { content }: QdqFile,
  { cut, weights }: { readonly cut: CutGraph; readonly weights: GraphTensors },
  { fingerprints }: ReadRecord,
): ReadonlyMap<string, Uint8Array> {
  const changed = new Set(fingerprints?.changed ?? []);
  const found = new Map<string, Uint8Array>();
  for (const { plan, bias } of cut.units.flatMap(({ layers }) => layers)) {
    const name = `${plan.module}.bias`;
    const recorded = fingerprints?.plain[name];
    if (bias === null || !changed.has(name) || recorded === bytesHash(weights.readSync(name))) continue;
    const stored = content.tensors.get(bias);
    const type = plan.biasType ?? "float32";
    if (stored === undefined || stored.dataType !== type) continue;
    const bytes = scope(() => Tensor.fromBytes(content.readBytes(bias), [plan.rows], type).to("float32").toBytes());
    if (bytesHash(bytes) === recorded) found.set(name, bytes);
  }
  return found;
}

/** The numbers of an input that ranges are looked up by, of all tables the same. */
function knownSteps(file: QdqFile): ReadonlyMap<string, readonly number[]> {
  const keyed = [...file.inputGrids.values()].filter(isKeyed);
  return new Map(keyed.map(({ input, keys }) => [input, keys] as const));
}

const recordedInputs = z.object({ inputs: z.array(z.object({ name: z.string(), shape: z.array(z.number()) })) });

// Of one example, as it was when the graph was quantized.
function inputShapes(network: ReadRecord["network"]): Readonly<Record<string, readonly number[]>> {
  const parsed = recordedInputs.safeParse(network);
  return parsed.success ? Object.fromEntries(parsed.data.inputs.map(({ name, shape }) => [name, shape])) : {};
}

// Ranges of inputs that are not those that the calibration came to.
function otherRanges(file: QdqFile, { activations }: ReadRecord): Disagreement[] {
  return Object.entries(activations?.values ?? {}).flatMap(([tensor, scale]) => {
    const grid = file.inputGrids.get(tensor);
    if (grid === undefined) return [{ tensor, what: "its input is not quantized, as was recorded" }];
    const zeroPoint = activations?.zeroPoints?.[tensor];
    const same =
      !isKeyed(grid) && grid.scale === Math.fround(scale) && (zeroPoint === undefined || grid.zeroPoint === zeroPoint);
    return same ? [] : [{ tensor, what: "the range of its input is not the recorded one" }];
  });
}

async function* checkCodes(file: QdqFile): AsyncGenerator<TensorCheck, void, undefined> {
  for (const name of file.layers.keys()) {
    yield { name, source: name, status: "same", hash: weightHash(file.readQuantized(name)) };
  }
}
