import { decodeMessage } from "../../../checkpoint/onnx/decode-message.js";
import type { OnnxContent } from "../../../checkpoint/onnx/onnx-content.js";
import { joinedBytes, rawFields } from "../../../checkpoint/onnx/raw-message.js";
import { GRAPH, MODEL, NODE, type OnnxNode } from "../../../checkpoint/onnx/schema.js";
import type { GraphNode } from "../../../network/index.js";
import { editNode } from "../graph/edit-node.js";
import { raiseNode } from "../opset/raise-opset.js";
import { valueRanks } from "../opset/ranks.js";
import type { GraphResult } from "../plan.js";
import type { QdqFile } from "../read.js";

/** Operators that may lie between a layer and its weight or its input. */
const BETWEEN = new Set(
  `QuantizeLinear DequantizeLinear Cast Clip Reshape Transpose Gather Add Sub Mul Neg Equal Greater ReduceSum ReduceMax
  ReduceMin Div Round`.split(/\s+/),
);

interface RawNode {
  readonly node: OnnxNode;
  readonly content: Uint8Array;
}

/**
 * The first node of a written graph that is not the source's, put so that only what feeds quantized layers may differ; null
 * where there is none.
 */
export function nodesDifference(file: QdqFile, result: GraphResult): string | null {
  const { content: source, cut } = result.graph;
  const written = rawNodes(file.content);
  const stored = rawNodes(source);
  const makers = new Map(written.flatMap((raw) => (raw.node.outputs ?? []).map((name) => [name, raw] as const)));
  const layers = new Map(
    [...file.layers.values()].map(({ stored: { node }, input }) => [node.outputs?.[0] ?? "", input] as const),
  );
  const kept = new Set<RawNode>();
  const given = new Set(cut.graph.inputs.map(({ name }) => name));
  const raised = raising(file, result);
  for (const node of cut.graph.nodes) {
    const before = stored[node.place];
    const now = makers.get(node.outputs.find((name) => name !== "") ?? "");
    if (before === undefined || now === undefined) return `its node "${node.name}" is gone`;
    kept.add(now);
    const { inputs, content } = raised(node, before);
    if (Buffer.compare(withoutPorts(content, source.file), withoutPorts(now.content, source.file)) !== 0) {
      return `its node "${node.name}" has other attributes`;
    }
    if ((now.node.outputs ?? []).join("\n") !== node.outputs.join("\n"))
      return `its node "${node.name}" has other outputs`;
    const inputsNow = now.node.inputs ?? [];
    if (inputsNow.length !== inputs.length) return `its node "${node.name}" has ${inputsNow.length} inputs`;
    const layer = layers.get(node.outputs[0] ?? "");
    const other = inputs.findIndex((wanted, at) => {
      const found = inputsNow[at] ?? "";
      if (typeof wanted !== "string") return !wanted(found);
      if (found === wanted) return false;
      return layer === undefined || (at !== 1 && !(at === 0 && layer?.value === wanted));
    });
    if (other >= 0) return `its node "${node.name}" reads "${inputsNow[other]}" as input ${other}`;
  }
  const values = new Set([...kept].flatMap(({ node }) => node.outputs ?? []));
  for (const [place, { node, content }] of stored.entries()) {
    const now = node.operator === "Constant" ? makers.get(node.outputs?.[0] ?? "") : undefined;
    if (now === undefined) continue;
    if (Buffer.compare(now.content, content) !== 0)
      return `its Constant "${node.outputs?.[0]}" is another (node ${place})`;
    kept.add(now);
  }
  // What is left has to lie before layers, and nowhere else.
  const between = new Set<RawNode>();
  const visit = (name: string): void => {
    const maker = makers.get(name);
    if (maker === undefined || kept.has(maker) || between.has(maker) || values.has(name) || given.has(name)) return;
    between.add(maker);
    for (const input of maker.node.inputs ?? []) visit(input);
  };
  for (const { node } of kept)
    if (layers.has(node.outputs?.[0] ?? "")) for (const name of node.inputs ?? []) visit(name);
  const strange = written.find((raw) => !kept.has(raw) && !(between.has(raw) && BETWEEN.has(raw.node.operator ?? "")));
  return strange === undefined
    ? null
    : `a node "${strange.node.name}" (${strange.node.operator}) that the source has not`;
}

/** A value by name, or a constant by what it holds. */
type Wanted = string | ((name: string) => boolean);

/** What a node has to be in the version of the operators that the file has. */
function raising(
  { content }: QdqFile,
  { graph: { content: source, cut } }: GraphResult,
): (node: GraphNode, stored: RawNode) => { readonly inputs: readonly Wanted[]; readonly content: Uint8Array } {
  const version =
    content.model.operatorSets?.find(({ domain = "" }) => domain === "" || domain === "ai.onnx")?.version ?? 0;
  const from = cut.graph.opset;
  const rank = valueRanks(cut, source.model);
  return (node, { node: stored, content: bytes }) => {
    const constants = new Map<string, (name: string) => boolean>();
    const constant = (values: readonly number[], read: (bytes: ArrayBuffer) => readonly number[]): string => {
      const key = `\u0000${constants.size}`;
      constants.set(key, (name) => {
        if (!content.tensors.has(name)) return false;
        return (
          read(Uint8Array.from(content.readBytes(name)).buffer).join() ===
          values.map((value) => Math.fround(value)).join()
        );
      });
      return key;
    };
    const edit =
      version === from
        ? null
        : raiseNode(
            { ...stored, inputs: node.inputs, outputs: node.outputs },
            { from, to: version, reason: "the file has", otherwise: "export again" },
            {
              integers: (values) => constant(values, (buffer) => [...new BigInt64Array(buffer)].map(Number)),
              floats: (values) => constant([values].flat(), (buffer) => [...new Float32Array(buffer)]),
              rank,
            },
            source.file,
          );
    if (edit === null) return { inputs: node.inputs, content: bytes };
    const inputs = edit.inputs.map((name): Wanted => constants.get(name) ?? name);
    return { inputs, content: joinedBytes(editNode(bytes, edit, source.file)) };
  };
}

function rawNodes({ bytes, file }: OnnxContent): readonly RawNode[] {
  const graph = rawFields(bytes, file).find(({ number }) => number === MODEL.graph.number);
  return rawFields(graph?.content ?? new Uint8Array(0), file)
    .filter(({ number }) => number === GRAPH.nodes.number)
    .map(({ content }) => ({ node: decodeMessage(NODE, content, file), content }));
}

/** A node's message without the names of what it reads and makes. */
function withoutPorts(content: Uint8Array, file: string): Uint8Array {
  const ports: readonly number[] = [NODE.inputs.number, NODE.outputs.number];
  return joinedBytes(
    rawFields(content, file)
      .filter(({ number }) => !ports.includes(number))
      .map(({ bytes }) => bytes),
  );
}
