import { decodeMessage } from "../../../checkpoint/onnx/decode-message.js";
import type { OnnxContent } from "../../../checkpoint/onnx/onnx-content.js";
import { type RawField, rawFields } from "../../../checkpoint/onnx/raw-message.js";
import { GRAPH, MODEL, OPERATOR_SET, VALUE } from "../../../checkpoint/onnx/schema.js";
import { CrossblockError } from "../../../errors.js";
import { GraphTensors } from "../../../network/index.js";
import type { TensorCheck } from "../../contract/tensor-check.js";
import { layerFloats } from "../graph/layer-floats.js";
import type { GraphResult, QdqPlan } from "../plan.js";
import { OWN_KEYS } from "../provenance.js";
import type { QdqFile } from "../read.js";
import { nodesDifference } from "./diff-nodes.js";

/**
 * Compares a written graph with its source: nothing may differ but what quantization changes. That is what lies between a
 * quantized layer and its weight and input, floats that the result has otherwise, batch norms that were folded, and what a
 * newer version of the operators writes otherwise. All else is compared byte by byte.
 *
 * One verdict is on the graph, and one on every constant that holds other floats.
 */
export async function* diffGraph(
  file: QdqFile,
  result: GraphResult,
  plan: Pick<QdqPlan, "floats" | "gone">,
): AsyncGenerator<TensorCheck, void, undefined> {
  const changed: TensorCheck[] = [];
  const detail = await firstDifference(file, result, plan, changed);
  yield { name: "graph", source: null, ...(detail === null ? { status: "same" } : { status: "different", detail }) };
  yield* changed;
}

async function firstDifference(
  file: QdqFile,
  result: GraphResult,
  plan: Pick<QdqPlan, "floats" | "gone">,
  changed: TensorCheck[],
): Promise<string | null> {
  const [written, source] = [file.content, result.graph.content];
  try {
    return (
      differenceOf("the model", modelFields(source), modelFields(written)) ??
      differenceOf("the graph", graphFields(source), graphFields(written)) ??
      inputsDifference(source, written, plan) ??
      (await constantsDifference(file, result, plan, changed)) ??
      nodesDifference(file, result)
    );
  } catch (error) {
    if (error instanceof CrossblockError) return error.what;
    throw error;
  }
}

/** What of a model has to stay: all but graph, versions, and the metadata of crossblock's own. */
function modelFields({ bytes, file }: OnnxContent): readonly RawField[] {
  return rawFields(bytes, file).filter(({ number, content }) => {
    if (number === MODEL.operatorSets.number) {
      const { domain = "" } = decodeMessage(OPERATOR_SET, content, file);
      return domain !== "" && domain !== "ai.onnx";
    }
    if (number === MODEL.metadata.number) {
      return decodeMessage(MODEL.metadata.kind, content, file).key?.startsWith(OWN_KEYS) !== true;
    }
    return number !== MODEL.graph.number && number !== MODEL.irVersion.number;
  });
}

/** The fields of a file's graph. */
export function graphOf({ bytes, file }: OnnxContent): readonly RawField[] {
  const graph = rawFields(bytes, file).find(({ number }) => number === MODEL.graph.number);
  return graph === undefined ? [] : rawFields(graph.content, file);
}

const PARTS: ReadonlySet<number> = new Set(
  [GRAPH.nodes, GRAPH.initializers, GRAPH.inputs, GRAPH.values].map(({ number }) => number),
);

/** Name, outputs, documentation and whatever else is neither node nor constant. */
function graphFields(content: OnnxContent): readonly RawField[] {
  return graphOf(content).filter(({ number }) => !PARTS.has(number));
}

function differenceOf(what: string, ours: readonly RawField[], theirs: readonly RawField[]): string | null {
  const at = Array.from({ length: Math.max(ours.length, theirs.length) }, (_, i) => i).find((i) => {
    const [a, b] = [ours[i]?.bytes, theirs[i]?.bytes];
    return a === undefined || b === undefined || Buffer.compare(a, b) !== 0;
  });
  return at === undefined ? null : `field ${(ours[at] ?? theirs[at])?.number} of ${what} is another`;
}

/** Inputs stay, but those that are a constant too which is gone; shapes of values within may go, and none may come. */
function inputsDifference(source: OnnxContent, written: OnnxContent, { gone }: Pick<QdqPlan, "gone">): string | null {
  const of = (content: OnnxContent, { number }: { readonly number: number }): readonly RawField[] =>
    graphOf(content).filter((field) => field.number === number);
  const nameOf = (field: RawField): string =>
    decodeMessage({ name: VALUE.name }, field.content, source.file).name ?? "";
  const inputs = of(source, GRAPH.inputs).filter((field) => !gone.has(nameOf(field)));
  const known = new Set(of(source, GRAPH.values).map(({ bytes }) => Buffer.from(bytes).toString("latin1")));
  const value = of(written, GRAPH.values).find(({ bytes }) => !known.has(Buffer.from(bytes).toString("latin1")));
  if (value !== undefined) return `what it says of the value "${nameOf(value)}" is not the source's`;
  return differenceOf("the inputs", inputs, of(written, GRAPH.inputs));
}

/** Constants of the source are there with their bytes, or with the floats of the result; or nothing reads them any more. */
async function constantsDifference(
  file: QdqFile,
  result: GraphResult,
  { floats, gone }: Pick<QdqPlan, "floats" | "gone">,
  changed: TensorCheck[],
): Promise<string | null> {
  const [written, source] = [file.content, result.graph.content];
  const own = new GraphTensors(result.graph.cut);
  const read = new Set((written.model.graph?.nodes ?? []).flatMap(({ inputs = [] }) => inputs));
  for (const { name, dataType, shape } of source.tensors.values()) {
    const found = written.tensors.get(name);
    if (found === undefined) {
      if (read.has(name) || !gone.has(name)) return `its constant "${name}" is gone`;
      continue;
    }
    if (found.dataType !== dataType || found.shape.join() !== shape.join()) {
      return `its constant "${name}" is ${found.dataType} [${found.shape}] instead of ${dataType} [${shape}]`;
    }
    const bytes = written.readBytes(name);
    if (Buffer.compare(bytes, source.readBytes(name)) === 0) continue;
    const [reader] = floats.get(name) ?? [];
    if (reader === undefined) return `its constant "${name}" has other numbers`;
    const wanted = await layerFloats(result, own, reader, dataType);
    changed.push(verdict(name, `${reader.layer.plan.module}.${reader.part}`, bytes, wanted));
  }
  for (const [name, [reader]] of floats) {
    const found = written.tensors.get(name);
    if (source.tensors.has(name) || found === undefined || reader === undefined) continue;
    const wanted = await layerFloats(result, own, reader, found.dataType);
    changed.push(verdict(name, `${reader.layer.plan.module}.${reader.part}`, written.readBytes(name), wanted));
  }
  return null;
}

function verdict(name: string, source: string, bytes: Uint8Array, wanted: Uint8Array): TensorCheck {
  const at = wanted.findIndex((byte, i) => byte !== bytes[i]);
  if (at < 0 && bytes.length === wanted.length) return { name, source, status: "same" };
  const detail =
    at < 0
      ? `${bytes.length} bytes instead of ${wanted.length}`
      : `byte ${at} is ${bytes[at]} instead of ${wanted[at]}`;
  return { name, source, status: "different", detail };
}
