import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import { decodeMessage } from "../../checkpoint/onnx/decode-message.js";
import {
  encodedFields,
  joinedBytes,
  lengthField,
  type RawField,
  rawFields,
} from "../../checkpoint/onnx/raw-message.js";
import { GRAPH, MODEL, NODE, OPERATOR_SET, TENSOR, VALUE } from "../../checkpoint/onnx/schema.js";
import { assertOtherFolder } from "../assert-other-folder.js";
import type { ExportSource } from "../contract/export-source.js";
import { DataFile } from "./graph/data-file.js";
import { editNode } from "./graph/edit-node.js";
import { movedTensor, tensorMessage } from "./graph/tensor-message.js";
import { WrittenTensors } from "./graph/written-tensors.js";
import type { SmallCodes } from "./layer-form.js";
import { type GraphResult, graphResult, planQdq, type QdqPlan } from "./plan.js";
import { OWN_KEYS, provenance } from "./provenance.js";

/** Names of what is written. */
export const modelFile = "model.onnx";
export const dataFile = "model.onnx_data";

export interface WriteQdqOptions {
  readonly codes: SmallCodes;
  /** Stops between two tensors; nothing of this call remains then. */
  readonly signal?: AbortSignal;
  /** Numbers of more bytes than this in all lie in a data file beside the graph. */
  readonly maxInlineBytes?: number;
}

/** Protobuf holds 2 GiB, and a reader holds a file whole. */
const MAX_INLINE_BYTES = 2 ** 30;

/**
 * Writes a result of an ONNX graph as `model.onnx` in a folder. What the result does not change is copied byte for byte, unknown
 * fields included. One quantized tensor of the source is in memory at a time, and of a graph without data file the whole file.
 *
 * @throws FormatError before anything is written for what QDQ can't hold; for the source's own folder; for unsound codes
 * @throws EnvironmentError when writing fails
 */
export async function writeQdq(source: ExportSource, folder: string, options: WriteQdqOptions): Promise<QdqPlan> {
  const result = graphResult(source);
  const plan = planQdq(source, options.codes);
  await assertOtherFolder(source.folder, folder);
  await mkdir(folder, { recursive: true });
  const outside = plan.bytes > (options.maxInlineBytes ?? MAX_INLINE_BYTES);
  await using data = outside ? await DataFile.create(join(folder, dataFile)) : null;
  const pieces = await modelPieces(result, plan, data, options.signal);
  await data?.complete();
  await writeFileAtomically(join(folder, modelFile), joinedBytes(pieces));
  return plan;
}

async function modelPieces(
  result: GraphResult,
  plan: QdqPlan,
  data: DataFile | null,
  signal: AbortSignal | undefined,
): Promise<readonly Uint8Array[]> {
  const { content } = result.graph;
  const pieces: Uint8Array[] = [];
  const { irVersion = 0 } = content.model;
  const least = leastIrVersion(plan.opset.to);
  for (const field of rawFields(content.bytes, content.file)) {
    if (field.number === MODEL.irVersion.number && irVersion < least)
      pieces.push(encodedFields(MODEL, { irVersion: least }));
    else if (field.number === MODEL.graph.number) {
      pieces.push(...lengthField(field.number, await graphPieces(result, plan, field.content, data, signal)));
    } else if (field.number === MODEL.operatorSets.number) pieces.push(...operatorSet(field, plan, content.file));
    else if (!isOwnMetadata(field, content.file)) pieces.push(field.bytes);
  }
  const metadata = [...provenance(result, plan)].map(([key, value]) => ({ key, value }));
  return [...pieces, encodedFields(MODEL, { metadata })];
}

/** The lowest version of the format in which a version of the operators may be used. Source: ONNX, Versioning. */
function leastIrVersion(opset: number): number {
  return opset >= 21 ? 10 : opset >= 19 ? 9 : opset >= 15 ? 8 : opset >= 13 ? 7 : 3;
}

function operatorSet(field: RawField, { opset }: QdqPlan, where: string): readonly Uint8Array[] {
  const { domain = "", version } = decodeMessage(OPERATOR_SET, field.content, where);
  const own = domain === "" || domain === "ai.onnx";
  if (!own || version === opset.to) return [field.bytes];
  return [encodedFields(MODEL, { operatorSets: [{ ...(domain !== "" && { domain }), version: opset.to }] })];
}

function isOwnMetadata({ number, content }: RawField, where: string): boolean {
  if (number !== MODEL.metadata.number) return false;
  return decodeMessage(MODEL.metadata.kind, content, where).key?.startsWith(OWN_KEYS) === true;
}

async function graphPieces(
  result: GraphResult,
  plan: QdqPlan,
  graph: Uint8Array,
  data: DataFile | null,
  signal: AbortSignal | undefined,
): Promise<readonly Uint8Array[]> {
  const { content } = result.graph;
  const tensors = new WrittenTensors(result, plan);
  const changed = await tensors.changedFloats();
  const pieces: Uint8Array[] = [];
  let place = 0;
  const initializer = (message: readonly Uint8Array[]): void => {
    pieces.push(...lengthField(GRAPH.initializers.number, message));
  };
  for (const field of rawFields(graph, content.file)) {
    signal?.throwIfAborted();
    if (field.number === GRAPH.nodes.number) pieces.push(...nodePieces(plan, field, place++, content.file, changed));
    else if (field.number === GRAPH.initializers.number) {
      const { name = "" } = decodeMessage({ name: TENSOR.name }, field.content, content.file);
      if (plan.gone.has(name)) continue;
      const stored = content.tensors.get(name);
      const own = changed.get(name);
      const byteLength = stored?.byteLength ?? 0;
      const moves = own !== undefined || stored?.location !== null || data?.takes(byteLength) === true;
      if (!moves) pieces.push(field.bytes);
      else {
        const bytes = own ?? content.readBytes(name);
        const at = data?.takes(byteLength) === true ? await data.write(bytes) : { bytes };
        initializer(movedTensor(field.content, byteLength, at, content.file));
      }
    } else if (!isStale(field, plan, content.file)) pieces.push(field.bytes);
  }
  for (const tensor of plan.added) {
    signal?.throwIfAborted();
    const bytes = await tensors.bytes(tensor);
    const at = data?.takes(bytes.length) === true ? await data.write(bytes) : { bytes };
    initializer(tensorMessage(tensor.name, tensor.dataType, tensor.shape, bytes.length, at));
  }
  for (const { name, dataType, shape, bytes } of tensors.fromConstants(changed)) {
    initializer(tensorMessage(name, dataType, shape, bytes.length, { bytes }));
  }
  return pieces;
}

function nodePieces(
  plan: QdqPlan,
  field: RawField,
  place: number,
  where: string,
  changed: ReadonlyMap<string, Uint8Array>,
): readonly Uint8Array[] {
  const planned = plan.nodes.get(place);
  if (planned === undefined) return [];
  const { operator, outputs } = decodeMessage({ operator: NODE.operator, outputs: NODE.outputs }, field.content, where);
  // Other floats than a Constant node holds are written as an initializer.
  if (operator === "Constant" && changed.has(outputs?.[0] ?? "")) return [];
  const before = planned.before.flatMap((node) => lengthField(GRAPH.nodes.number, encodedFields(NODE, node)));
  const own =
    planned.edit === null ? [field.bytes] : lengthField(field.number, editNode(field.content, planned.edit, where));
  return [...before, ...own];
}

/** What the file says of a value or an input that is no longer there. */
function isStale({ number, content }: RawField, { values }: QdqPlan, where: string): boolean {
  if (number !== GRAPH.values.number && number !== GRAPH.inputs.number) return false;
  return !values.has(decodeMessage({ name: VALUE.name }, content, where).name ?? "");
}
