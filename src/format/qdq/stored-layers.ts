import type { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import type { OnnxNode } from "../../checkpoint/onnx/schema.js";
import type { IntegerType } from "./layer-form.js";

/** A layer whose weight a file stores in integers, and the nodes that bring it back. */
export interface StoredLayer {
  readonly node: OnnxNode;
  readonly operator: "Conv" | "ConvTranspose" | "Gemm" | "MatMul";
  readonly type: IntegerType;
  /** Initializers. */
  readonly codes: string;
  readonly scales: string;
  readonly zeroPoints: string | null;
  readonly axis: number;
  /** Null for scales of whole slices. */
  readonly blockSize: number | null;
  /** Of the stored integers, and of the weight that the node reads. */
  readonly stored: readonly number[];
  readonly shape: readonly number[];
  /** The first two axes, or those within groups, are exchanged after reshaping. */
  readonly transposed: boolean;
  /** Output features lie along this axis of the weight, those of each group one after the other. */
  readonly rowAxis: 0 | 1;
  /** Of a ConvTranspose; else 1. */
  readonly groups: number;
}

const OPERATORS = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);
const INTEGERS = new Set(["int4", "uint4", "int8", "uint8"]);

/** The nodes that make a value, by name. */
export function makersOf({ model }: Pick<OnnxContent, "model">): ReadonlyMap<string, OnnxNode> {
  const nodes = model.graph?.nodes ?? [];
  return new Map(nodes.flatMap((node) => (node.outputs ?? []).map((name) => [name, node] as const)));
}

export function intOf({ attributes = [] }: OnnxNode, name: string, otherwise: number): number {
  return attributes.find((each) => each.name === name)?.int ?? otherwise;
}

/** Layers of any file whose weights are constants behind a DequantizeLinear; other layers are passed over. */
export function storedLayers(content: OnnxContent): readonly StoredLayer[] {
  const makers = makersOf(content);
  return (content.model.graph?.nodes ?? []).flatMap((node) => {
    if (!OPERATORS.has(node.operator ?? "")) return [];
    const layer = storedLayer(content, node, makers);
    return layer === null ? [] : [layer];
  });
}

function storedLayer(content: OnnxContent, node: OnnxNode, makers: ReadonlyMap<string, OnnxNode>): StoredLayer | null {
  const { tensors } = content;
  let maker = makers.get(node.inputs?.[1] ?? "");
  const before = (operator: string): OnnxNode | null => {
    if (maker?.operator !== operator) return null;
    const found = maker;
    maker = makers.get(found.inputs?.[0] ?? "");
    return found;
  };
  before("Cast");
  const join =
    groupsOf(node) === 1 || makers.get(maker?.inputs?.[0] ?? "")?.operator !== "Transpose" ? null : before("Reshape");
  const transpose = before("Transpose");
  const reshape = before("Reshape");
  if (maker?.operator !== "DequantizeLinear") return null;
  const [codes = "", scales = "", zeroPoints = ""] = maker.inputs ?? [];
  const [integers, steps, zeros] = [tensors.get(codes), tensors.get(scales), tensors.get(zeroPoints)];
  if (integers === undefined || steps === undefined || !INTEGERS.has(integers.dataType)) return null;
  if (zeroPoints !== "" && zeros === undefined) return null;
  const reshaped = reshape === null ? integers.shape : wholeNumbers(content, reshape.inputs?.[1] ?? "");
  if (reshaped === null || (transpose !== null && !exchanges(transpose, reshaped.length, join === null ? 0 : 1)))
    return null;
  const turned = transpose === null ? reshaped : [reshaped[1] ?? 1, reshaped[0] ?? 1, ...reshaped.slice(2)];
  const shape = join === null ? turned : wholeNumbers(content, join.inputs?.[1] ?? "");
  // Groups that are joined otherwise than they were parted.
  if (shape === null || (join !== null && reshaped[0] !== groupsOf(node))) return null;
  const single = node.operator === "ConvTranspose" && shape[1] === 1 && shape[0] === groupsOf(node);
  const rank = integers.shape.length;
  const axis = intOf(maker, "axis", 1);
  const blockSize = intOf(maker, "block_size", 0);
  return {
    node,
    operator: node.operator as StoredLayer["operator"],
    type: integers.dataType as IntegerType,
    codes,
    scales,
    zeroPoints: zeroPoints === "" ? null : zeroPoints,
    axis: axis < 0 ? axis + rank : axis,
    blockSize: blockSize === 0 ? null : blockSize,
    stored: integers.shape,
    shape,
    transposed: transpose !== null,
    rowAxis: single ? 0 : rowAxis(node),
    groups: single ? 1 : groupsOf(node),
  };
}

function rowAxis(node: OnnxNode): 0 | 1 {
  if (node.operator === "Conv") return 0;
  return node.operator === "Gemm" && intOf(node, "transB", 0) !== 0 ? 0 : 1;
}

function groupsOf(node: OnnxNode): number {
  return node.operator === "ConvTranspose" ? Math.max(1, intOf(node, "group", 1)) : 1;
}

/** Whether a Transpose exchanges two neighbouring axes and no others. */
function exchanges({ attributes = [] }: OnnxNode, rank: number, from: number): boolean {
  const perm = attributes.find(({ name }) => name === "perm")?.ints;
  if (perm === undefined) return rank === 2 && from === 0;
  return perm.length === rank && perm.every((to, i) => to === (i === from ? i + 1 : i === from + 1 ? from : i));
}

/** A constant's integers. */
function wholeNumbers(content: OnnxContent, name: string): readonly number[] | null {
  if (content.tensors.get(name)?.dataType !== "int64") return null;
  const bytes = Uint8Array.from(content.readBytes(name));
  return [...new BigInt64Array(bytes.buffer)].map(Number);
}
