import { isDeepStrictEqual } from "node:util";
import { decodeMessage } from "../../checkpoint/onnx/decode-message.js";
import { MODEL, type OnnxModel } from "../../checkpoint/onnx/schema.js";
import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { signedRows, signedWeightHash, type WeightHash } from "../bits/weight-hash.js";
import type { ExportSource } from "../contract/export-source.js";
import { readSound } from "../contract/output-tensors.js";
import type { TensorCheck } from "../contract/tensor-check.js";
import type { BlockedWeight } from "./decode.js";
import type { PlannedTensor } from "./graph/graph-weights.js";
import { TensorBytes } from "./graph/tensor-bytes.js";
import { type OnnxPlanOptions, planOnnx } from "./plan.js";
import type { OnnxFile } from "./read.js";

type Verdict = Pick<TensorCheck, "status" | "detail" | "hash">;

/**
 * Compares a file with the result that it was written from, by the decoder and not by the encoder. `options` are those that
 * it was written with.
 */
export async function* checkOnnx(
  file: OnnxFile,
  source: ExportSource,
  options: OnnxPlanOptions = {},
): AsyncGenerator<TensorCheck, void, undefined> {
  const plan = planOnnx(source, options);
  const expected = decodeMessage(MODEL, plan.graph, "plan");
  yield { name: "graph", source: null, ...compareGraphs(file.model, expected) };
  const content = new TensorBytes(source, plan.spec);
  for (const tensor of plan.tensors) {
    const { name, source: from, part } = tensor;
    if (part === "codes" && from !== null) yield await checkLinear(file, from, tensor, source);
    else if (tensor.layout === null) yield { name, source: from, ...(await compareBytes(file, tensor, content)) };
  }
  const planned = new Set((expected.graph?.initializers ?? []).map(({ name }) => name));
  for (const name of file.tensors.keys()) {
    if (!planned.has(name)) yield { name, source: null, status: "unexpected" };
  }
}

/** Nodes, inputs, outputs and small constants; weights are compared one by one, and may lie elsewhere. */
function compareGraphs(model: OnnxModel, expected: OnnxModel): Verdict {
  const facts = ({ graph, operatorSets }: OnnxModel): Readonly<Record<string, unknown>> => ({
    "operator sets": operatorSets,
    inputs: graph?.inputs,
    outputs: graph?.outputs,
    constants: graph?.initializers?.filter(({ rawData }) => rawData !== undefined),
  });
  const [ours, theirs] = [facts(expected), facts(model)];
  const part = Object.keys(ours).find((key) => !isDeepStrictEqual(ours[key], theirs[key]));
  if (part !== undefined) return { status: "different", detail: `other ${part}` };
  const nodes = model.graph?.nodes ?? [];
  const node = (expected.graph?.nodes ?? []).find((each, i) => !isDeepStrictEqual(each, nodes[i]));
  if (node !== undefined) return { status: "different", detail: `the node ${node.name} is not the plan's` };
  const extra = nodes[expected.graph?.nodes?.length ?? 0];
  return extra === undefined ? { status: "same" } : { status: "different", detail: `an additional node ${extra.name}` };
}

async function checkLinear(
  file: OnnxFile,
  module: string,
  { layout, container }: PlannedTensor,
  source: ExportSource,
): Promise<TensorCheck> {
  const facts = { name: module, source: module };
  const stored = file.linears.get(module);
  if (stored === undefined || layout === null) return { ...facts, status: "missing" };
  const keys = ["bits", "blockSize"] as const;
  const differs = keys.find((key) => stored[key] !== container?.[key]);
  if (differs !== undefined) {
    return {
      ...facts,
      status: "different",
      detail: `${differs} ${stored[differs]} instead of ${container?.[differs]}`,
    };
  }
  if (stored.rows !== layout.rows || stored.columns !== layout.columns) {
    return { ...facts, status: "different", detail: `${stored.rows} x ${stored.columns} weights` };
  }
  const weight = await readSound(source, module, layout);
  try {
    return { ...facts, ...compareCodes(file.readQuantized(module), weight) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { ...facts, status: "different", detail: error.what };
  }
}

function compareCodes(stored: BlockedWeight, weight: QuantizedWeight): Verdict {
  const { columns, groupSize, rows } = weight;
  const blocks = Math.ceil(columns / stored.blockSize);
  const groups = columns / groupSize;
  const hash = blockedHash(stored, groupSize);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const column = block * stored.blockSize;
      const group = row * groups + Math.floor(column / groupSize);
      for (const key of ["scales", "zeroPoints"] as const) {
        const [found, ours] = [stored[key][row * blocks + block], weight[key][group]];
        if (found === ours) continue;
        const what = key === "scales" ? "scale" : "zero point";
        return {
          status: "different",
          detail: `${what} ${found} instead of ${ours} at row ${row}, column ${column}`,
          hash,
        };
      }
    }
  }
  for (let e = 0; e < weight.codes.length; e++) {
    if (stored.codes[e] === weight.codes[e]) continue;
    const place = `row ${Math.floor(e / columns)}, column ${e % columns}`;
    return { status: "different", detail: `code ${stored.codes[e]} instead of ${weight.codes[e]} at ${place}`, hash };
  }
  return { status: "same", hash };
}

/** The hash of what the blocks hold, regrouped as the result is; the first block of a group speaks for its scale. */
function blockedHash(stored: BlockedWeight, groupSize: number): WeightHash {
  const { rows, columns, blockSize, codes, scales, zeroPoints } = stored;
  const blocks = Math.ceil(columns / blockSize);
  const groups = columns / groupSize;
  return signedWeightHash({
    rows,
    columns,
    scales: Float32Array.from({ length: rows * groups }, (_, i) => {
      const block = Math.floor(((i % groups) * groupSize) / blockSize);
      return scales[Math.floor(i / groups) * blocks + block] ?? Number.NaN;
    }),
    row: signedRows({ columns, groupSize: blockSize, codes, zeroPoints }),
  });
}

/** A plain tensor or a rotary table, byte for byte. */
async function compareBytes(file: OnnxFile, tensor: PlannedTensor, content: TensorBytes): Promise<Verdict> {
  const stored = file.tensors.get(tensor.name);
  if (stored === undefined) return { status: "missing" };
  if (stored.dataType !== tensor.dataType || stored.shape.join() !== tensor.shape.join()) {
    const describe = ({ dataType, shape }: Pick<PlannedTensor, "dataType" | "shape">): string =>
      `${dataType} [${shape.join(", ")}]`;
    return { status: "different", detail: `${describe(stored)} instead of ${describe(tensor)}` };
  }
  const bytes = file.readBytes(tensor.name);
  let at = 0;
  for await (const piece of content.pieces(tensor)) {
    const found = bytes.subarray(at, at + piece.length);
    if (Buffer.compare(found, piece) !== 0) {
      const i = piece.findIndex((byte, k) => byte !== found[k]);
      return { status: "different", detail: `byte ${at + i} is ${found[i]} instead of ${piece[i]}` };
    }
    at += piece.length;
  }
  return { status: "same" };
}
