import { DATA_TYPES, type OnnxNode } from "../../../checkpoint/onnx/schema.js";
import { exampleShapes, type GraphConstant, type GraphNode } from "../../../network/index.js";
import { isKeyed } from "../../contract/input-grid.js";
import type { SmallCodes } from "../layer-form.js";
import type { RaiseContext } from "../opset/node-state.js";
import { raiseNode } from "../opset/raise-opset.js";
import { valueRanks } from "../opset/ranks.js";
import type { GraphResult, PlannedLayer, PlannedNode } from "../plan.js";
import type { Additions } from "./additions.js";
import { type LayerFloats, storedTypes } from "./layer-floats.js";
import { quantizedInput } from "./quantized-inputs.js";

/** What the nodes of a file are planned with. */
export interface NodePlanning {
  readonly layers: readonly PlannedLayer[];
  readonly floats: ReadonlyMap<string, readonly LayerFloats[]>;
  readonly opset: { readonly from: number; readonly to: number };
  readonly small: SmallCodes;
  readonly additions: Additions;
}

/** Every node of a file, as it will be written, and what is left of its values. */
export function planNodes(
  { graph: { content, cut } }: GraphResult,
  { layers, floats, opset, small, additions }: NodePlanning,
): {
  readonly nodes: ReadonlyMap<number, PlannedNode>;
  readonly values: ReadonlySet<string>;
  readonly gone: ReadonlySet<string>;
} {
  const { graph } = cut;
  const types = storedTypes(content);
  const byPlace = new Map(graph.nodes.map((node) => [node.place, node] as const));
  const planned = new Map(layers.map((each) => [each.layer.node.place, each] as const));
  const context = raiseContext(additions, valueRanks(cut, content.model));
  const raise = {
    ...opset,
    reason: `${small === "int4" ? "integers of 4 bits and groups" : "scales by channel"} need`,
    otherwise:
      small === "int4" && opset.to > 13
        ? "use --qdq-codes int8, which keeps these codes in 8 bits"
        : "leave layers in floating point with an override (skip)",
  };
  const keyed = layers.some(({ grid }) => grid !== null && isKeyed(grid));
  const shapes = keyed ? exampleShapes(cut) : null;
  addMissingFloats(additions, floats, types, graph.constants);
  const nodes = new Map<number, PlannedNode>();
  for (const [place, stored] of (content.model.graph?.nodes ?? []).entries()) {
    const node = byPlace.get(place);
    if (node === undefined) continue;
    const layer = planned.get(place);
    const inputs = layer === undefined ? node.inputs : quantizedInputs(additions, layer, shapes);
    const raised =
      opset.to === opset.from
        ? null
        : raiseNode(
            { ...stored, inputs, outputs: node.outputs },
            raise,
            context,
            `${content.file}, node "${node.name}"`,
          );
    const edit = raised ?? (isSame(stored, inputs, node) ? null : { inputs, outputs: node.outputs });
    nodes.set(place, { before: additions.takeNodes(), edit });
  }
  return {
    nodes,
    ...keepConstants(content.model.graph?.nodes ?? [], nodes, { graph, tensors: content.tensors, additions }),
  };
}

function isSame({ inputs = [], outputs = [] }: OnnxNode, now: readonly string[], node: GraphNode): boolean {
  const same = (a: readonly string[], b: readonly string[]): boolean =>
    a.length === b.length && a.every((x, i) => x === b[i]);
  return same(inputs, now) && same(outputs, node.outputs);
}

/** Floats that the file has no constant for: what folding made. */
function addMissingFloats(
  additions: Additions,
  floats: ReadonlyMap<string, readonly LayerFloats[]>,
  types: ReadonlyMap<string, unknown>,
  constants: ReadonlyMap<string, GraphConstant>,
): void {
  for (const [name, [first]] of floats) {
    if (types.has(name) || first === undefined) continue;
    const { layer, part } = first;
    const dataType = (types.get(layer.weight) ?? constants.get(layer.weight)?.dataType ?? "float32") as "float32";
    const shape = part === "weight" ? layer.shape : [layer.plan.rows];
    additions.existing(name, dataType, shape, { kind: "floats", constant: name });
  }
}

/** The inputs of a quantized layer's node: what comes back from integers in place of value and weight. */
function quantizedInputs(
  additions: Additions,
  planned: PlannedLayer,
  shapes: ReadonlyMap<string, readonly number[]> | null,
): readonly string[] {
  const { layer, grid, floats } = planned;
  const [value = "", , ...rest] = layer.node.inputs;
  const half = floats === "float16" || floats === "bfloat16" ? floats : null;
  const weight = dequantizedWeight(additions, planned, half);
  if (grid === null) return [value, weight, ...rest];
  const shape = shapes?.get(value);
  const rank = shape === undefined ? null : shape.length + 1;
  const kind = isKeyed(grid)
    ? `${grid.input} ${grid.unknown} ${grid.keys} ${grid.scales} ${grid.zeroPoints}`
    : `${Math.fround(grid.scale)} ${grid.zeroPoint}`;
  const quantized = additions.once(`grid ${grid.bits} ${kind} ${half} ${value}`, () =>
    quantizedInput(additions, value, grid, { half, rank }),
  );
  return [quantized, weight, ...rest];
}

function dequantizedWeight(
  additions: Additions,
  { layer, form }: PlannedLayer,
  half: "float16" | "bfloat16" | null,
): string {
  const { weight } = layer;
  const { module } = layer.plan;
  const { type, shape, scaleShape, zeroPoints, axis, blockSize, reshape, transposed, joined } = form;
  const inputs = [
    additions.tensor(`${weight}_quantized`, type, shape, { kind: "codes", module }),
    additions.tensor(`${weight}_scale`, "float32", scaleShape, { kind: "scales", module }),
    ...(zeroPoints ? [additions.tensor(`${weight}_zero_point`, type, scaleShape, { kind: "zeroPoints", module })] : []),
  ];
  const blocks = blockSize === null ? {} : { block_size: blockSize };
  let value = additions.node(`${weight}_DequantizeLinear`, "DequantizeLinear", inputs, { axis, ...blocks });
  if (reshape !== null) value = additions.node(`${weight}_Reshape`, "Reshape", [value, additions.int64(reshape)]);
  if (transposed) {
    const from = joined === null ? 0 : 1;
    const perm = (reshape ?? shape).map((_, i) => (i === from ? from + 1 : i === from + 1 ? from : i));
    value = additions.node(`${weight}_Transpose`, "Transpose", [value], { perm });
  }
  if (joined !== null) value = additions.node(`${weight}_groups`, "Reshape", [value, additions.int64(joined)]);
  return half === null ? value : additions.node(`${weight}_Cast`, "Cast", [value], { to: DATA_TYPES[half] });
}

function raiseContext(additions: Additions, rank: RaiseContext["rank"]): RaiseContext {
  return {
    integers: (values) => additions.int64(values),
    floats: (values) =>
      additions.once(`float ${values}`, () =>
        typeof values === "number"
          ? additions.float32(`number_${values}`, [values], [])
          : additions.float32(`numbers_${values.join("_")}`, values),
      ),
    rank,
  };
}

/** Puts Constant nodes that are still read among the nodes, and tells which initializers no longer are. */
function keepConstants(
  stored: readonly OnnxNode[],
  nodes: Map<number, PlannedNode>,
  {
    graph,
    tensors,
    additions,
  }: {
    readonly graph: GraphResult["graph"]["cut"]["graph"];
    readonly tensors: ReadonlyMap<string, unknown>;
    readonly additions: Additions;
  },
): { readonly values: ReadonlySet<string>; readonly gone: ReadonlySet<string> } {
  const read = new Set(graph.outputs.map(({ name }) => name));
  const before = new Set<string>();
  for (const [place, node] of stored.entries()) {
    for (const name of node.inputs ?? []) before.add(name);
    const planned = nodes.get(place);
    if (planned === undefined) continue;
    for (const name of planned.edit?.inputs ?? node.inputs ?? []) read.add(name);
    for (const { inputs = [] } of planned.before) for (const name of inputs) read.add(name);
  }
  for (const [place, { operator, outputs = [] }] of stored.entries()) {
    if (operator === "Constant" && read.has(outputs[0] ?? "")) nodes.set(place, { before: [], edit: null });
  }
  // What nothing read before is none of our business.
  const gone = new Set([...tensors.keys()].filter((name) => before.has(name) && !read.has(name)));
  const values = new Set([...tensors.keys()].filter((name) => !gone.has(name)));
  for (const { name } of [...graph.inputs, ...additions.tensors]) values.add(name);
  for (const [place, { before: added, edit }] of nodes) {
    for (const name of [...added.flatMap(({ outputs = [] }) => outputs), ...((edit ?? stored[place])?.outputs ?? [])])
      values.add(name);
  }
  return { values, gone };
}
