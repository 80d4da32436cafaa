import type { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { rawFields } from "../../checkpoint/onnx/raw-message.js";
import { type DataType, MODEL, type OnnxNode } from "../../checkpoint/onnx/schema.js";
import { FormatError } from "../../errors.js";
import type { GraphLayer } from "../../network/index.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import type { GraphSource } from "../contract/graph-source.js";
import { type InputGrid, isKeyed } from "../contract/input-grid.js";
import { type AddedTensor, Additions } from "./graph/additions.js";
import type { NodeEdit } from "./graph/edit-node.js";
import { type LayerFloats, storedTypes } from "./graph/layer-floats.js";
import { Names } from "./graph/names.js";
import { planNodes } from "./graph/plan-nodes.js";
import { assertGrid, INPUT_OPSET } from "./graph/quantized-inputs.js";
import { type LayerForm, layerForm, type SmallCodes } from "./layer-form.js";

/** A result of a graph. */
export type GraphResult = ExportSource & { readonly graph: GraphSource };

/** A quantized layer of a plan. */
export interface PlannedLayer {
  readonly layer: GraphLayer;
  readonly layout: QuantizedLayout;
  readonly form: LayerForm;
  /** Type of the floats that its node computes with. */
  readonly floats: DataType;
  readonly grid: InputGrid | null;
}

/** What becomes of a node of the file: what is put before it, and its edit where it is not left as it is. */
export interface PlannedNode {
  readonly before: readonly OnnxNode[];
  readonly edit: NodeEdit | null;
}

/** A file before any tensor of it is read. */
export interface QdqPlan {
  readonly small: SmallCodes;
  readonly layers: readonly PlannedLayer[];
  readonly opset: { readonly from: number; readonly to: number };
  /** By their place in the file; those that are not here are left out. */
  readonly nodes: ReadonlyMap<number, PlannedNode>;
  readonly added: readonly AddedTensor[];
  /** Initializers that nothing reads any more. */
  readonly gone: ReadonlySet<string>;
  /** Floats of layers among the file's constants, by name: the result may have others. */
  readonly floats: ReadonlyMap<string, readonly LayerFloats[]>;
  /** Names of all values that the written graph has. */
  readonly values: ReadonlySet<string>;
  /** Of all initializers. */
  readonly bytes: number;
}

/**
 * Decides how a result of a graph is written; reads no tensor.
 *
 * @throws FormatError for what QDQ can't hold, naming the nearest that it can
 */
export function planQdq(source: ExportSource, small: SmallCodes): QdqPlan {
  const result = graphResult(source);
  const { content, cut } = result.graph;
  assertOneGraph(content);
  const layers = plannedLayers(result, small);
  const floats = floatsOf(result, layers);
  const opset = targetOpset(cut.graph.opset, layers);
  const model = content.model.graph ?? {};
  const additions = new Additions(
    new Names([
      ...content.tensors.keys(),
      ...cut.graph.constants.keys(),
      ...(model.inputs ?? []).map(({ name = "" }) => name),
      ...(model.nodes ?? []).flatMap(({ name = "", outputs = [] }) => [name, ...outputs]),
    ]),
  );
  const { nodes, values, gone } = planNodes(result, { layers, floats, opset, small, additions });
  const kept = [...content.tensors.values()].filter(({ name }) => !gone.has(name));
  const bytes = [...kept, ...additions.tensors].reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { small, layers, opset, nodes, added: additions.tensors, gone, floats, values, bytes };
}

/** @throws FormatError for the result of a language model */
export function graphResult(source: ExportSource): GraphResult {
  const { graph } = source;
  if (graph !== undefined) return { ...source, graph };
  throw new FormatError({
    what: "qdq holds networks that come as ONNX graphs, and this is a language model",
    where: source.folder,
    next: "use --format onnx",
  });
}

// Protobuf would merge several; what is copied field by field can't be.
function assertOneGraph({ bytes, file }: OnnxContent): void {
  const graphs = rawFields(bytes, file).filter(({ number }) => number === MODEL.graph.number).length;
  if (graphs === 1) return;
  throw new FormatError({ what: `${graphs} graphs in one file`, where: file, next: "export the network again" });
}

function plannedLayers(result: GraphResult, small: SmallCodes): readonly PlannedLayer[] {
  const { content, cut } = result.graph;
  const types = storedTypes(content);
  const grids = result.inputGrids ?? new Map<string, InputGrid>();
  const known = new Map(cut.units.flatMap(({ layers }) => layers.map((layer) => [layer.plan.module, layer] as const)));
  return [...result.linears].map(([module, layout]) => {
    const layer = known.get(module);
    if (layer === undefined) return misfit(content, module, "the graph has no layer of this name");
    const { rows, columns } = layer.plan;
    const { groupSize, bits } = layout;
    if (layout.rows !== rows || layout.columns !== columns) {
      misfit(
        content,
        module,
        `${layout.rows} x ${layout.columns} codes where the graph has ${rows} x ${columns} weights`,
      );
    }
    if (groupSize < 1 || columns % groupSize !== 0)
      misfit(content, module, `groups of ${groupSize} of ${columns} columns`);
    if (!Number.isInteger(bits) || bits < 2 || bits > 8) misfit(content, module, `${bits}-bit codes`);
    const grid = grids.get(module) ?? null;
    if (grid !== null) {
      assertGrid(grid, module);
      if (isKeyed(grid) && !cut.graph.inputs.some(({ name }) => name === grid.input)) {
        misfit(content, module, `ranges by the input "${grid.input}", which the graph has not`);
      }
    }
    return {
      layer,
      layout,
      form: layerForm(layer, layout, small),
      floats: types.get(layer.weight) ?? cut.graph.constants.get(layer.weight)?.dataType ?? "float32",
      grid,
    };
  });
}

function misfit({ file }: OnnxContent, module: string, what: string): never {
  throw new FormatError({
    what,
    where: `${file}, ${module}`,
    next: "quantize again: the result belongs to another network",
  });
}

/** Biases, and weights of layers that are not quantized; several layers may share a bias. */
function floatsOf(
  { graph: { cut } }: GraphResult,
  planned: readonly PlannedLayer[],
): ReadonlyMap<string, readonly LayerFloats[]> {
  const quantized = new Set(planned.map(({ layer }) => layer));
  const found = new Map<string, LayerFloats[]>();
  for (const layer of cut.units.flatMap(({ layers }) => layers)) {
    if (layer.bias !== null) found.set(layer.bias, [...(found.get(layer.bias) ?? []), { layer, part: "bias" }]);
    if (!quantized.has(layer)) found.set(layer.weight, [{ layer, part: "weight" }]);
  }
  return found;
}

/** The file's version of the operators, or the lowest that has what is written. */
function targetOpset(from: number, layers: readonly PlannedLayer[]): { readonly from: number; readonly to: number } {
  const needed = layers.flatMap(({ form, grid }) => [form.opset, grid === null ? 0 : INPUT_OPSET]);
  return { from, to: Math.max(from, ...needed) };
}
