import type { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import type { OnnxNode } from "../../checkpoint/onnx/schema.js";
import { FormatError } from "../../errors.js";
import type { InputGrid } from "../contract/input-grid.js";
import type { RecordedSteps } from "./provenance.js";

/** How a file quantizes the input of a layer. */
export interface StoredInput {
  /** The value that is put on the grid. */
  readonly value: string;
  readonly grid: InputGrid;
}

/**
 * The grid of a layer's input; null where it comes from no QuantizeLinear, or where scales are computed otherwise than crossblock
 * writes them.
 *
 * @throws FormatError for a grid that is none
 */
export function storedInput(
  content: OnnxContent,
  { inputs = [] }: OnnxNode,
  makers: ReadonlyMap<string, OnnxNode>,
  steps: RecordedSteps | undefined,
): StoredInput | null {
  const past = (node: OnnxNode | undefined, operator: string): OnnxNode | undefined =>
    node?.operator === operator ? makers.get(node.inputs?.[0] ?? "") : node;
  const back = past(makers.get(inputs[0] ?? ""), "Cast");
  if (back?.operator === "Mul") return steps === undefined ? null : inputByExample(content, back, makers, steps);
  const quantize = back?.operator === "DequantizeLinear" ? makers.get(back.inputs?.[0] ?? "") : undefined;
  if (quantize?.operator !== "QuantizeLinear") return null;
  const [from = "", scale = "", zeroPoint = ""] = quantize.inputs ?? [];
  const clip = addedBefore(makers, from, "Clip");
  const value = beforeCast(makers, clip?.inputs?.[0] ?? from);
  const table = makers.get(scale);
  if (table?.operator === "Gather") {
    const zeros = makers.get(zeroPoint);
    return steps === undefined || zeros?.operator !== "Gather"
      ? null
      : keyedInput(content, value, steps, [table, zeros]);
  }
  const [found, zeros] = [numbers(content, scale), zeroPoint === "" ? [0] : numbers(content, zeroPoint)];
  if (found === null || zeros === null || found.length !== 1 || zeros.length !== 1) return null;
  const type = content.tensors.get(zeroPoint)?.dataType ?? "uint8";
  const [step = 0, zero = 0] = [found[0], zeros[0]];
  if (!(step > 0 && Number.isFinite(step))) throw damaged(content.file, value, `the step ${step}`);
  const shift = type === "int8" ? 128 : type === "int4" ? 8 : 0;
  const bits = type === "uint4" || type === "int4" ? 4 : clip === undefined ? 8 : clippedBits(content, clip, step);
  return { value, grid: { bits, scale: step, zeroPoint: zero + shift } };
}

/** The arithmetic that stands for both nodes where every example has a step of its own, from its end to its beginning. */
function inputByExample(
  content: OnnxContent,
  last: OnnxNode,
  makers: ReadonlyMap<string, OnnxNode>,
  steps: RecordedSteps,
): StoredInput | null {
  let node: OnnxNode | undefined = last;
  for (const operator of ["Sub", "Clip", "Add", "Round", "Div"]) {
    node = node === undefined ? undefined : addedBefore(makers, node.inputs?.[0] ?? "", operator);
  }
  const sub = makers.get(last.inputs?.[0] ?? "");
  const tables = [last, sub].map((each) => {
    const reshape = makers.get(each?.inputs?.[1] ?? "");
    return reshape?.operator === "Reshape" ? makers.get(reshape.inputs?.[0] ?? "") : undefined;
  });
  const [scales, zeros] = tables;
  if (node === undefined || scales?.operator !== "Gather" || zeros?.operator !== "Gather") return null;
  return keyedInput(content, beforeCast(makers, node.inputs?.[0] ?? ""), steps, [scales, zeros]);
}

/** @throws FormatError for tables of another length than there are steps */
function keyedInput(
  content: OnnxContent,
  value: string,
  steps: RecordedSteps,
  [ofScales, ofZeros]: readonly [OnnxNode, OnnxNode],
): StoredInput {
  const scales = numbers(content, ofScales.inputs?.[0] ?? "");
  const zeroPoints = numbers(content, ofZeros.inputs?.[0] ?? "");
  const count = steps.keys.length;
  if (scales?.length !== count || zeroPoints?.length !== count) {
    throw damaged(content.file, value, `${scales?.length ?? 0} scales for ${count} time steps`);
  }
  // Tables are in the order of their steps.
  return { value, grid: { ...steps, keys: [...steps.keys].sort((a, b) => a - b), scales, zeroPoints } };
}

function beforeCast(makers: ReadonlyMap<string, OnnxNode>, value: string): string {
  return addedBefore(makers, value, "Cast")?.inputs?.[0] ?? value;
}

/** The node that makes a value, where it is one that crossblock adds: a network has Clips and Casts of its own. */
function addedBefore(makers: ReadonlyMap<string, OnnxNode>, value: string, operator: string): OnnxNode | undefined {
  const maker = makers.get(value);
  if (maker?.operator !== operator || !new RegExp(`_${operator}(_\\d+)?$`).test(maker.name ?? "")) return undefined;
  return maker.outputs?.[0]?.startsWith(`${maker.name}_Output`) === true ? maker : undefined;
}

/** Bits of codes that are cut off before they are rounded: the range has `2^bits - 1` steps. */
function clippedBits(content: OnnxContent, { inputs = [] }: OnnxNode, step: number): number {
  const [low = 0] = numbers(content, inputs[1] ?? "") ?? [];
  const [high = 0] = numbers(content, inputs[2] ?? "") ?? [];
  const bits = Math.log2((high - low) / step + 1);
  const whole = Math.round(bits);
  return Math.abs(bits - whole) < 1e-3 && whole >= 2 && whole <= 8 ? whole : 8;
}

function numbers(content: OnnxContent, name: string): readonly number[] | null {
  const type = content.tensors.get(name)?.dataType;
  if (type === undefined) return null;
  const bytes = Uint8Array.from(content.readBytes(name));
  if (type === "float32") return [...new Float32Array(bytes.buffer)];
  if (type === "uint8") return [...bytes];
  if (type === "int8") return [...new Int8Array(bytes.buffer)];
  if (type === "uint4") return [(bytes[0] ?? 0) & 15];
  return type === "int4" ? [(((bytes[0] ?? 0) & 15) << 28) >> 28] : null;
}

function damaged(file: string, value: string, what: string): FormatError {
  return new FormatError({
    what,
    where: `${file}, the value "${value}"`,
    why: "the file is damaged",
    next: "export or download it again",
  });
}
