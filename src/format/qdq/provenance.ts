import { type JsonObject, type JsonValue, parseJsonObject } from "../../checkpoint/json/json.js";
import type { OnnxModel } from "../../checkpoint/onnx/schema.js";
import { FormatError } from "../../errors.js";
import type { KeyedGrid } from "../../quant/input/keyed-grid.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import { type InputGrid, isKeyed } from "../contract/input-grid.js";
import { schemeLabel } from "../model-label.js";
import type { SmallCodes } from "./layer-form.js";
import type { GraphResult, QdqPlan } from "./plan.js";

/** Keys of crossblock's own in a model's metadata begin so. */
export const OWN_KEYS = "crossblock.";
const FORMAT = "crossblock.format";
const SCHEME = "crossblock.scheme";
const CODES = "crossblock.codes";
const LAYERS = "crossblock.layers";
const STEPS = "crossblock.steps";

/** What a file says of a layer beyond what its tensors tell: integers have 4 or 8 bits, codes may have fewer. */
export interface RecordedLayer extends Pick<QuantizedLayout, "bits" | "groupSize" | "perChannel" | "symmetric"> {
  /** The constant that its codes stand for. */
  readonly weight: string;
  /** Of grids of its input by time step: what the tables' entries stand for. */
  readonly steps?: RecordedSteps;
}

/** What a file says of the tables that ranges are looked up in. */
export type RecordedSteps = Pick<KeyedGrid, "bits" | "input" | "keys" | "unknown">;

/** From what a file was written, and how. */
export function provenance(result: GraphResult, { small, layers }: QdqPlan): ReadonlyMap<string, string> {
  const scheme = schemeLabel(result);
  // Layers share their time steps, which may be a thousand.
  const steps: string[] = [];
  const stepsOf = (grid: InputGrid | null): { readonly steps?: number } => {
    if (grid === null || !isKeyed(grid)) return {};
    const { bits, input, keys, unknown } = grid;
    const text = JSON.stringify({ bits, input, keys, unknown });
    if (!steps.includes(text)) steps.push(text);
    return { steps: steps.indexOf(text) };
  };
  const facts = layers.map(({ layer, grid, layout: { bits, groupSize, perChannel, symmetric } }) => [
    layer.plan.module,
    { weight: layer.weight, bits, groupSize, perChannel, symmetric, ...stepsOf(grid) },
  ]);
  return new Map([
    [FORMAT, "qdq"],
    ...(scheme === null ? [] : ([[SCHEME, scheme]] as const)),
    [CODES, small],
    [LAYERS, JSON.stringify(Object.fromEntries(facts))],
    ...(steps.length === 0 ? [] : ([[STEPS, `{"tables":[${steps.join(",")}]}`]] as const)),
  ]);
}

/** Whether a file says that crossblock wrote it in this format. */
export function isOwn(model: OnnxModel): boolean {
  return recorded(model, FORMAT) === "qdq";
}

export function recordedScheme(model: OnnxModel): string | null {
  return recorded(model, SCHEME);
}

export function recordedCodes(model: OnnxModel): SmallCodes {
  return recorded(model, CODES) === "int8" ? "int8" : "int4";
}

/** @throws FormatError where the record is damaged */
export function recordedLayers(model: OnnxModel, file: string): ReadonlyMap<string, RecordedLayer> {
  const text = recorded(model, LAYERS);
  if (text === null) return new Map();
  const entries = Object.entries(parseJsonObject(text, `${file}, ${LAYERS}`));
  const steps = recordedSteps(model, file);
  return new Map(entries.map(([module, value]) => [module, recordedLayer(value, module, steps, file)]));
}

function recordedSteps(model: OnnxModel, file: string): readonly RecordedSteps[] {
  const text = recorded(model, STEPS);
  if (text === null) return [];
  const { tables } = parseJsonObject(text, `${file}, ${STEPS}`);
  return (Array.isArray(tables) ? tables : []).map((table): RecordedSteps => {
    const { bits, input, keys, unknown } = objectOf(table);
    const numbers = Array.isArray(keys) && keys.every((key): key is number => typeof key === "number") ? keys : null;
    if (isWhole(bits) && bits <= 8 && typeof input === "string" && numbers !== null) {
      if (unknown === "error" || unknown === "nearest") return { bits, input, keys: numbers, unknown };
    }
    throw damaged("time steps", `${file}, ${STEPS}`);
  });
}

function recordedLayer(
  value: JsonValue,
  module: string,
  tables: readonly RecordedSteps[],
  file: string,
): RecordedLayer {
  const { weight, bits, groupSize, perChannel, symmetric, steps } = objectOf(value);
  const flags = typeof perChannel === "boolean" && typeof symmetric === "boolean";
  const table = typeof steps === "number" ? tables[steps] : undefined;
  if (typeof weight === "string" && isWhole(bits) && bits <= 8 && isWhole(groupSize) && flags) {
    if (steps === undefined) return { weight, bits, groupSize, perChannel, symmetric };
    if (table !== undefined) return { weight, bits, groupSize, perChannel, symmetric, steps: table };
  }
  throw damaged(module, `${file}, ${LAYERS}`);
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function isWhole(n: unknown): n is number {
  return typeof n === "number" && Number.isInteger(n) && n > 0;
}

function damaged(what: string, where: string): FormatError {
  return new FormatError({
    what: `what it says of ${what} is damaged`,
    where,
    next: "export or download it again",
  });
}

function recorded({ metadata = [] }: OnnxModel, key: string): string | null {
  return metadata.find((entry) => entry.key === key)?.value ?? null;
}
