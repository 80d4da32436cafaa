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
  const quantize = back?.operator === "DequantizeLinear" ? makers.get(back.inputs?.[0] ?? "") : undefined;
  if (quantize?.operator !== "QuantizeLinear") return null;
  const [from = "", scale = "", zeroPoint = ""] = quantize.inputs ?? [];
  const clip = makers.get(from)?.operator === "Clip" ? makers.get(from) : undefined;
  const cut = clip?.inputs?.[0] ?? from;
  const cast = makers.get(cut);
  const value =
    cast?.operator === "Cast" && cast.name?.startsWith(`${cast.inputs?.[0]}_Cast`) === true
      ? (cast.inputs?.[0] ?? cut)
      : cut;
  const table = makers.get(scale);
  if (table?.operator === "Gather") {
    const zeros = makers.get(zeroPoint);
    if (steps === undefined || zeros?.operator !== "Gather") return null;
    const scales = numbers(content, table.inputs?.[0] ?? "");
    const zeroPoints = numbers(content, zeros.inputs?.[0] ?? "");
    const count = steps.keys.length;
    if (scales?.length !== count || zeroPoints?.length !== count) {
      throw damaged(content.file, value, `${scales?.length ?? 0} scales for ${count} time steps`);
    }
    // Tables are in the order of their steps.
    return { value, grid: { ...steps, keys: [...steps.keys].sort((a, b) => a - b), scales, zeroPoints } };
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
