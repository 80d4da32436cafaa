import { isJsonObject } from "../../checkpoint/json/json.js";
import { type ModelConfig, requireString } from "../../checkpoint/model-config.js";
import { FormatError, OptionError } from "../../errors.js";
import { type DecoderSpec, networkTensors, textConfig } from "../../network/index.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { checkSource } from "../contract/output-tensors.js";
import { sourceSpec } from "../source/source-spec.js";
import { exactType, exactTypes } from "./blocks/exact-type.js";
import { hasExactSize, reencodedType } from "./blocks/reencode.js";
import { byteLengthOf, type FloatType, type QuantizedType, TENSOR_TYPES } from "./file/layout.js";
import { fileTensors } from "./file-tensors.js";
import { ggufFamily } from "./network/families.js";
import { missingBiases } from "./network/missing-biases.js";
import { type ModelShape, modelShape } from "./network/model-shape.js";
import { type RopeEncoding, ropeEncoding } from "./network/rope-scaling.js";
import { rotaryOrder } from "./network/rotary-order.js";
import type { GgufName } from "./network/tensor-names.js";

/** Types for the embedding and the output matrix. */
export const GGUF_FLOAT_CHOICES = ["f32", "f16", "bf16", "q8_0"] as const;
export type GgufFloatChoice = (typeof GGUF_FLOAT_CHOICES)[number];

export interface GgufPlanOptions {
  /** Type of the embedding; the source's own by default, so that nothing is lost. */
  readonly embedding?: GgufFloatChoice;
  /** Type of the output matrix, where it is not the embedding; the source's own by default. */
  readonly output?: GgufFloatChoice;
  /** Block types to take first where they are exact: Q2_0 instead of the smaller TQ2_0, for example. */
  readonly prefer?: readonly QuantizedType[];
  /** Where no exact type of the scheme's size exists: round the codes again instead of taking a larger exact type. */
  readonly reencode?: boolean;
}

/**
 * What happens to a tensor's values. `exact`: nothing. `minimum`: `scale * zeroPoint` is rounded to fp16.
 * `reencoded`: the codes are rounded to another grid. `converted`: floats are rounded to another type.
 */
export type Fidelity = "exact" | "minimum" | "reencoded" | "converted";

/** One tensor of the file to be. */
export interface PlannedTensor {
  /** Name in the file. */
  readonly name: string;
  /** Module of a quantized Linear, name of a plain tensor, or null for what is computed (a table of rotary divisors). */
  readonly source: string | null;
  /** How the source stores a quantized Linear; null for floats. */
  readonly layout: QuantizedLayout | null;
  readonly type: QuantizedType | FloatType;
  readonly shape: readonly number[];
  readonly byteLength: number;
  readonly fidelity: Fidelity;
  /** True when the type spends more bits per code than the scheme. */
  readonly wider: boolean;
  /** Row of the source for each row of the file; null when they are in the same order. */
  readonly rowOrder: Int32Array | null;
  /** The file has each value plus one: gains of norms that the checkpoint stores less one. */
  readonly plusOne: boolean;
}

export interface GgufPlan {
  /** The result with Linears fused as the file has them: what `PlannedTensor.source` names are of it. */
  readonly source: ExportSource;
  readonly shape: ModelShape;
  readonly rope: RopeEncoding;
  /** Values of tensors that no tensor of the source is for: divisors of rotary frequencies, and biases of zero that a graph adds. */
  readonly tables: ReadonlyMap<string, Float32Array>;
  /** In the order of the file. */
  readonly tensors: readonly PlannedTensor[];
}

/**
 * Decides names, types and order of all tensors without reading any of them.
 *
 * @throws FormatError when GGUF or llama.cpp can't hold the model, or the scheme without re-encoding
 */
export function planGguf(result: ExportSource, options: GgufPlanOptions = {}): GgufPlan {
  checkSource(result);
  // Before the network is read: of a family that GGUF lacks, this says so.
  const family = ggufFamily(requireString(textConfig(result.config), "model_type"));
  const spec = sourceSpec(result);
  const shape = withImages(modelShape(spec), result.config);
  if (shape.tied && options.output !== undefined) {
    throw new OptionError({
      what: "a type for the output matrix, and this model uses its embedding as output",
      where: "--gguf-output",
      next: "set the type of the embedding instead",
    });
  }
  const rope = ropeEncoding(spec);
  assertComplete(result, spec);
  const { source, names } = fileTensors(result, spec, family);
  const ranked: Ranked[] = [];
  const add = (tensor: string, plan: (named: GgufName) => PlannedTensor): void => {
    const named = names.get(tensor);
    if (named === undefined) throw noPlace(tensor, family.architecture);
    ranked.push({ rank: named.rank, tensor: plan(named) });
  };
  for (const [module, layout] of source.linears) {
    add(`${module}.weight`, (named) => planQuantized(named, module, layout, shape, options));
  }
  for (const name of source.plain.keys()) add(name, (named) => planPlain(named, name, source, shape, options));
  if (shape.tied && family.head === "own") {
    const name = `${spec.names.embedding}.weight`;
    const named: GgufName = { name: OUTPUT, rank: Number.POSITIVE_INFINITY, part: null, plusOne: false };
    ranked.push({
      rank: named.rank,
      tensor: planPlain(named, name, source, shape, {
        ...options,
        ...(options.embedding !== undefined && { output: options.embedding }),
      }),
    });
  }
  for (const [name, values] of rope.tables) ranked.push({ rank: 0.5, tensor: planTable(name, values) });
  const tables = new Map(rope.tables);
  for (const { rank, name, length } of missingBiases(ranked, family)) {
    tables.set(name, new Float32Array(length));
    ranked.push({ rank, tensor: planTable(name, new Float32Array(length)) });
  }
  ranked.sort((a, b) => a.rank - b.rank);
  return { source, shape, rope, tables, tensors: ranked.map(({ tensor }) => tensor) };
}

interface Ranked {
  readonly rank: number;
  readonly tensor: PlannedTensor;
}

const OUTPUT = "output.weight";
// How many blocks add what an image's encoder found to the stream: the part that is for images has to know.
function withImages(shape: ModelShape, { vision_config: vision }: ModelConfig): ModelShape {
  const layers = isJsonObject(vision) ? vision["deepstack_visual_indexes"] : undefined;
  if (shape.family.sections !== true || !Array.isArray(layers)) return shape;
  return { ...shape, own: [...shape.own, ["n_deepstack_layers", { type: "u32", value: layers.length }]] };
}

function noPlace(tensor: string, architecture: string): FormatError {
  return new FormatError({
    what: `GGUF's architecture ${architecture} has no place for this tensor`,
    where: tensor,
    next: "use --format compressed-tensors, which keeps every tensor under its own name",
  });
}

function planQuantized(
  named: GgufName,
  module: string,
  layout: QuantizedLayout,
  shape: ModelShape,
  options: GgufPlanOptions,
): PlannedTensor {
  const { type, fidelity, wider } = chooseType(layout, module, options);
  return {
    name: named.name,
    source: module,
    layout,
    type,
    shape: stackedShape(named, [layout.rows, layout.columns], shape),
    byteLength: byteLengthOf(type, layout.rows * layout.columns),
    fidelity,
    wider,
    rowOrder: orderOf(named, shape),
    plusOne: false,
  };
}

// Rows of all experts, `[experts * out, in]`, as `[experts, out, in]`: the same bytes.
function stackedShape({ name }: GgufName, sizes: readonly number[], { experts }: ModelShape): readonly number[] {
  const [rows = 0, ...columns] = sizes;
  if (experts === null || !/_exps\.(?:weight|bias)$/.test(name)) return sizes;
  return [experts.count, rows / experts.count, ...columns];
}

function chooseType(
  layout: QuantizedLayout,
  module: string,
  { prefer = [], reencode = false }: GgufPlanOptions,
): Pick<PlannedTensor, "type" | "fidelity" | "wider"> {
  if (reencode && !hasExactSize(layout)) {
    return { type: reencodedType(layout) ?? "F16", fidelity: "reencoded", wider: false };
  }
  const choices = exactTypes(layout);
  return prefer.flatMap((type) => choices.filter((choice) => choice.type === type))[0] ?? exactType(layout, module);
}

const FLOAT_DTYPES: Readonly<Record<string, FloatType>> = { F32: "F32", F16: "F16", BF16: "BF16" };

function planPlain(
  named: GgufName,
  name: string,
  source: ExportSource,
  shape: ModelShape,
  options: GgufPlanOptions,
): PlannedTensor {
  const info = source.plain.get(name);
  const own = FLOAT_DTYPES[info?.dtype ?? ""];
  if (info === undefined || own === undefined) {
    throw new FormatError({
      what: `a tensor of type ${info?.dtype ?? "unknown"} that is no float`,
      where: name,
      next: "export from a checkpoint in F32, F16 or BF16",
    });
  }
  const choice =
    named.name === "token_embd.weight"
      ? options.embedding
      : named.name === "output.weight"
        ? options.output
        : undefined;
  const type = info.shape.length === 1 ? "F32" : choice === undefined ? own : floatChoice(choice);
  const columns = info.shape.at(-1) ?? 1;
  if (columns % TENSOR_TYPES[type].elements !== 0) {
    throw new FormatError({
      what: `rows of ${columns} columns are not a whole number of ${type} blocks`,
      where: name,
      next: "choose f16, bf16 or f32 for it",
    });
  }
  return {
    name: named.name,
    source: name,
    layout: null,
    type,
    shape: stackedShape(named, info.shape, shape),
    byteLength: byteLengthOf(
      type,
      info.shape.reduce((product, size) => product * size, 1),
    ),
    // fp32 holds both 16-bit types exactly.
    fidelity: type === own || type === "F32" ? "exact" : "converted",
    wider: false,
    rowOrder: orderOf(named, shape),
    plusOne: named.plusOne,
  };
}

function floatChoice(choice: GgufFloatChoice): FloatType | "Q8_0" {
  return ({ f32: "F32", f16: "F16", bf16: "BF16", q8_0: "Q8_0" } as const)[choice];
}

function planTable(name: string, factors: Float32Array): PlannedTensor {
  return {
    name,
    source: null,
    layout: null,
    type: "F32",
    shape: [factors.length],
    byteLength: factors.byteLength,
    fidelity: "exact",
    wider: false,
    rowOrder: null,
    plusOne: false,
  };
}

function orderOf({ part }: GgufName, { interleaves, heads, keyValueHeads, headDim }: ModelShape): Int32Array | null {
  if (!interleaves) return null;
  if (part === "q") return rotaryOrder(heads, headDim);
  return part === "k" && typeof keyValueHeads === "number" ? rotaryOrder(keyValueHeads, headDim) : null;
}

function assertComplete({ linears, plain }: ExportSource, spec: DecoderSpec): void {
  const missing = [...networkTensors(spec).keys()].find(
    (name) => !plain.has(name) && !linears.has(name.replace(/\.weight$/, "")),
  );
  if (missing === undefined) return;
  throw new FormatError({
    what: "the model lacks this tensor, and llama.cpp would not load the file",
    where: missing,
    next: "check that config.json belongs to these weights, and that the result is complete",
  });
}
