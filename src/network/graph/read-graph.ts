import type { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { dataTypeOf, type OnnxNode, type OnnxValue } from "../../checkpoint/onnx/schema.js";
import { tensorBytes, tensorFacts } from "../../checkpoint/onnx/stored-tensor.js";
import { ModelError } from "../../errors.js";
import { Attributes } from "./attributes.js";
import { foldConstants } from "./fold-constants.js";
import { type Graph, type GraphConstant, type GraphNode, type GraphPort, whereOf } from "./graph.js";
import { operators } from "./operators/index.js";

/** Versions of the operators that are read. */
const OPSETS = { first: 7, last: 24 } as const;

/**
 * The graph of an ONNX file. It is refused whole, before anything runs, where it has operators that crossblock does not
 * compute, control flow, or values that nothing makes.
 *
 * @throws ModelError naming the operator and the node
 */
export function readGraph(content: OnnxContent): Graph {
  const { file, model } = content;
  const opset = readOpset(content);
  const graph = model.graph ?? {};
  if ((graph.sparseInitializers ?? []).length > 0)
    refuse(file, "it has sparse initializers", "export it with dense ones");
  const constants = new Map<string, GraphConstant>();
  for (const { name, dataType, shape } of content.tensors.values()) {
    constants.set(name, { name, dataType, shape, bytes: () => content.readBytes(name) });
  }
  refuseFunctions(content);
  refuseSameNames(file, graph.nodes ?? []);
  const found = (graph.nodes ?? []).map((node, place) => readNode(file, node, place));
  const computed = found.filter((node) => {
    if (node.operator !== "Constant") return true;
    const constant = readConstant(file, node);
    constants.set(constant.name, constant);
    return false;
  });
  refuseUnknown(file, computed);
  // Up to version 3 of the format every initializer is listed as an input too.
  const inputs = (graph.inputs ?? [])
    .filter(({ name = "" }) => !constants.has(name))
    .map((each) => readPort(file, each));
  const outputs = (graph.outputs ?? []).map((each) => readPort(file, each));
  const nodes = inOrder(file, computed, new Set([...constants.keys(), ...inputs.map(({ name }) => name)]));
  for (const node of nodes) operators.get(node.operator)?.check?.(node, whereOf(file, node));
  const made = new Set(nodes.flatMap((node) => node.outputs));
  for (const { name } of outputs) {
    if (!made.has(name)) refuse(file, `nothing computes its output "${name}"`, "export the network again");
  }
  if (outputs.length === 0) refuse(file, "it has no outputs", "export the network again");
  if (inputs.length === 0) refuse(file, "it has no inputs, and always gives the same", "export it with an input");
  return foldConstants({ file, opset, nodes, constants, inputs, outputs });
}

function readOpset({ file, model }: OnnxContent): number {
  const { version = 0 } = (model.operatorSets ?? []).find(({ domain = "" }) => isOnnx(domain)) ?? {};
  if (version < OPSETS.first || version > OPSETS.last) {
    refuse(
      file,
      `operators of version ${version}`,
      `convert it to one of ${OPSETS.first} to ${OPSETS.last} (onnx.version_converter)`,
    );
  }
  return version;
}

// A call of a function that the file brings along looks like an operator of a domain of its own.
function refuseFunctions({ file, model }: OnnxContent): void {
  const known = new Set((model.operatorSets ?? []).map(({ domain = "" }) => domain).filter((name) => !isOnnx(name)));
  const call = (model.graph?.nodes ?? []).find(({ domain = "" }) => known.has(domain));
  if ((model.functions ?? []).length === 0 || call === undefined) return;
  refuse(
    whereOf(file, { name: call.name ?? "", operator: `${call.domain}.${call.operator}` }),
    "it calls a function that the file defines",
    "write it without: onnx.save(onnx.inliner.inline_local_functions(onnx.load(FILE)), NEW)",
  );
}

// Onnxruntime does not load them, nor what is written of them.
function refuseSameNames(file: string, nodes: readonly OnnxNode[]): void {
  const seen = new Set<string>();
  for (const { name = "" } of nodes) {
    if (seen.has(name)) {
      const next = "take the names away: for node in graph.node: node.name = '' (with onnx.load and onnx.save)";
      refuse(file, `two of its nodes are called "${name}", which no runtime loads`, next);
    }
    if (name !== "") seen.add(name);
  }
}

function isOnnx(domain: string): boolean {
  return domain === "" || domain === "ai.onnx";
}

function readNode(file: string, node: OnnxNode, place: number): Omit<GraphNode, "index"> {
  const { operator = "", inputs = [], outputs = [], domain = "" } = node;
  const name = node.name === undefined || node.name === "" ? `${operator}:${outputs[0] ?? ""}` : node.name;
  const where = whereOf(file, { name, operator });
  if (!isOnnx(domain)) refuseOperator(file, [{ name, operator: `${domain}.${operator}` }]);
  const attributes = new Attributes(node.attributes ?? [], where);
  if (attributes.hasGraph) {
    refuse(where, "it has control flow", "export the network for fixed inputs, so that no branch and no loop is left");
  }
  return { place, name, operator, inputs, outputs, attributes };
}

function readConstant(file: string, node: Omit<GraphNode, "index">): GraphConstant {
  const { attributes, outputs } = node;
  const name = outputs[0] ?? "";
  const where = whereOf(file, node);
  const tensor = attributes.tensor("value");
  if (tensor !== null) {
    const { dataType, shape } = tensorFacts(tensor, where);
    const bytes = tensorBytes(tensor, where);
    return { name, dataType, shape, bytes: () => bytes };
  }
  const list = (dataType: "float32" | "int64", values: readonly number[], shape: readonly number[]): GraphConstant => {
    const array = dataType === "float32" ? Float32Array.from(values) : BigInt64Array.from(values, BigInt);
    return { name, dataType, shape, bytes: () => new Uint8Array(array.buffer) };
  };
  if (attributes.has("value_float")) return list("float32", [attributes.float("value_float", 0)], []);
  if (attributes.has("value_int")) return list("int64", [attributes.int("value_int", 0)], []);
  const floats = attributes.floats("value_floats");
  if (floats !== null) return list("float32", floats, [floats.length]);
  const ints = attributes.ints("value_ints");
  if (ints !== null) return list("int64", ints, [ints.length]);
  return refuse(where, `a constant of the kind ${attributes.names.join(", ") || "none"}`, "export it with tensors");
}

function refuseUnknown(file: string, nodes: readonly Omit<GraphNode, "index">[]): void {
  const unknown = nodes.filter(({ operator }) => !operators.has(operator));
  if (unknown.length > 0) refuseOperator(file, unknown);
}

function refuseOperator(file: string, nodes: readonly Pick<GraphNode, "name" | "operator">[]): never {
  const [first] = nodes;
  const others = [...new Set(nodes.map(({ operator }) => operator))].filter((name) => name !== first?.operator);
  throw new ModelError({
    what: `crossblock does not compute the operator ${first?.operator ?? ""}${others.length === 0 ? "" : `, nor ${others.join(", ")}`}`,
    where: whereOf(file, first ?? { name: "", operator: "" }),
    next: "export the network with ONNX operators of the list in docs/guide/graphs.md, or simplify the graph (onnxsim)",
  });
}

function readPort(file: string, { name = "", type }: OnnxValue): GraphPort {
  const dataType = dataTypeOf(type?.tensor?.elementType);
  if (dataType === null) {
    return refuse(
      `${file}, "${name}"`,
      "it is not a tensor of numbers",
      "export the network with tensors as inputs and outputs",
    );
  }
  // Some exporters write -1 or 0 for a size that is open.
  const sized = (value: number | undefined): number | undefined =>
    value !== undefined && value > 0 ? value : undefined;
  const shape = type?.tensor?.shape?.dimensions?.map(({ value, symbol }) => sized(value) ?? symbol ?? null) ?? null;
  return { name, dataType, shape };
}

// The specification wants nodes sorted; some writers leave that to the reader. Ties keep the file's order.
function inOrder(file: string, nodes: readonly Omit<GraphNode, "index">[], given: ReadonlySet<string>): GraphNode[] {
  const makers = new Map<string, Omit<GraphNode, "index">>();
  for (const node of nodes) {
    for (const output of node.outputs) {
      if (output === "") continue;
      if (makers.has(output) || given.has(output)) {
        refuse(whereOf(file, node), `the value "${output}" is made twice`, "export the network again");
      }
      makers.set(output, node);
    }
  }
  const sorted: GraphNode[] = [];
  const state = new Map<Omit<GraphNode, "index">, "open" | "done">();
  for (const start of nodes) {
    const stack = [start];
    while (stack.length > 0) {
      const node = stack.at(-1) as Omit<GraphNode, "index">;
      if (state.get(node) === "done") {
        stack.pop();
        continue;
      }
      state.set(node, "open");
      const waiting = node.inputs.filter((input) => {
        if (input === "" || given.has(input)) return false;
        const maker = makers.get(input);
        if (maker === undefined)
          return refuse(
            whereOf(file, node),
            `nothing makes the value "${input}" that it reads`,
            "export the network again",
          );
        return state.get(maker) !== "done";
      });
      const next = waiting.map((input) => makers.get(input) as Omit<GraphNode, "index">);
      if (next.some((maker) => state.get(maker) === "open")) {
        refuse(whereOf(file, node), "it needs its own result", "export the network again");
      }
      if (next.length > 0) {
        stack.push(...next.reverse());
        continue;
      }
      state.set(node, "done");
      sorted.push({ ...node, index: sorted.length });
      stack.pop();
    }
  }
  return sorted;
}

function refuse(where: string, what: string, next: string): never {
  throw new ModelError({ what, where, next });
}
