import { isJsonObject, type JsonObject, type JsonValue, quote } from "../../checkpoint/json/json.js";
import type { ModelConfig } from "../../checkpoint/model-config.js";
import { ModelError } from "../../errors.js";
import { QUANT_METHOD as AWQ } from "../awq/layout.js";
import { parseScheme } from "../awq/quantization-config.js";
import { groupFor, isFloatGroup, parseSchemeGroups } from "../compressed-tensors/scheme-groups.js";
import { QUANT_METHOD as GPTQ } from "../gptq/layout.js";
import { parseSchemes } from "../gptq/schemes.js";
import { awqWeights } from "./awq-weights.js";
import type { EncodedWeight, StoredTensors } from "./encoded-weight.js";
import { type Fp8Block, fp8Weights } from "./fp8-weights.js";
import { gptqWeights } from "./gptq-weights.js";
import { integerWeights } from "./integer-weights.js";
import { mxfp4Weights } from "./mxfp4-weights.js";

/** How the weights of a model folder are stored, and where they are found. */
export interface SourceEncoding {
  /** For people: `fp8`, `mxfp4`, `int4 (compressed-tensors)`. */
  readonly name: string;
  readonly find: (stored: StoredTensors) => readonly EncodedWeight[];
}

/** The encodings that are read, for messages. */
const known = "fp8 (also of fbgemm and modelopt), mxfp4, gptq, awq (gemm), or compressed-tensors in fp8 or integers";

/** What `config.json` says of quantized weights, on its own or of its text network; null where it says that there are none. */
export function quantizationOf(config: ModelConfig): JsonValue | null {
  const own = config["quantization_config"] ?? config["compression_config"] ?? null;
  const text = config["text_config"];
  return own ?? (isJsonObject(text) ? quantizationOf(text) : null);
}

/** The same configuration for weights in floating point. */
export function withoutQuantization(config: ModelConfig): ModelConfig {
  const { quantization_config: _, compression_config: __, ...rest } = config;
  const text = rest["text_config"];
  return isJsonObject(text) ? { ...rest, text_config: withoutQuantization(text) } : rest;
}

/**
 * @param quantization what `quantizationOf` found
 * @param where the file that says so
 * @throws ModelError or FormatError for what is not read, naming it and what is
 */
export function readEncoding(quantization: JsonValue, where: string): SourceEncoding {
  const method = isJsonObject(quantization) ? quantization["quant_method"] : undefined;
  if (!isJsonObject(quantization) || typeof method !== "string") {
    throw unread(where, "quantization_config has no quant_method", quantization);
  }
  switch (method) {
    case "fp8":
    case "fbgemm_fp8":
      return fp8(quantization, where);
    case "modelopt":
      if (quantization["quant_algo"] !== "FP8") break;
      return fp8(quantization, where);
    case "mxfp4":
      return { name: "mxfp4", find: mxfp4Weights };
    case "compressed-tensors":
      return compressed(quantization, where);
    case AWQ: {
      const scheme = parseScheme(quantization, where);
      return { name: "int4 (awq)", find: (stored) => awqWeights(stored, scheme) };
    }
    case GPTQ: {
      const schemes = parseSchemes(quantization, where);
      return { name: `int${schemes.common.bits} (gptq)`, find: (stored) => gptqWeights(stored, schemes) };
    }
  }
  throw unread(where, "the model is quantized already", quantization);
}

function fp8(quantization: JsonObject, where: string): SourceEncoding {
  const block = blockOf(quantization["weight_block_size"], where, "weight_block_size");
  return { name: "fp8", find: (stored) => fp8Weights(stored, () => block) };
}

function blockOf(value: JsonValue | undefined, where: string, key: string): Fp8Block {
  if (value === undefined || value === null) return null;
  const [rows, columns, ...more] = Array.isArray(value) ? value : [];
  const isSize = (size: JsonValue | undefined): size is number => Number.isInteger(size) && (size as number) > 0;
  if (isSize(rows) && isSize(columns) && more.length === 0) return [rows, columns];
  throw unread(where, `${key} is ${JSON.stringify(value)}, no pair of sizes`, null);
}

/** Groups in integers and in eight-bit floats, which one folder may have both of. */
function compressed(quantization: JsonObject, where: string): SourceEncoding {
  for (const key of ["sparsity_config", "transform_config"]) {
    const value = quantization[key] ?? null;
    const dense = isJsonObject(value) && (Object.keys(value).length === 0 || value["format"] === "dense");
    if (value !== null && !dense) throw unread(where, `quantization_config has ${key}`, quantization);
  }
  const groups = quantization["config_groups"];
  const entries = isJsonObject(groups) ? Object.entries(groups) : [];
  const floats = entries
    .filter(([, group]) => isFloatGroup(group))
    .map(([name, group]) => floatGroup(group, where, name));
  // What its inputs are quantized to is another matter than what its weights are.
  const weightOnly = entries
    .filter(([, group]) => !isFloatGroup(group))
    .map(([name, group]) => [name, isJsonObject(group) ? { ...group, input_activations: null } : group] as const);
  const integers =
    weightOnly.length === 0 && floats.length > 0
      ? []
      : parseSchemeGroups({ ...quantization, config_groups: Object.fromEntries(weightOnly) }, where);
  const widths = [...new Set(integers.map(({ bits }) => `int${bits}`))].sort();
  return {
    name: `${[...(floats.length > 0 ? ["fp8"] : []), ...widths].join(" and ")} (compressed-tensors)`,
    find: (stored) => [
      ...(floats.length === 0
        ? []
        : fp8Weights(stored, (weight) => groupFor(weight.replace(/\.weight$/, ""), floats)?.block ?? null)),
      ...(integers.length === 0 ? [] : integerWeights(stored, integers)),
    ],
  };
}

function floatGroup(group: JsonValue, where: string, name: string): { targets: readonly string[]; block: Fp8Block } {
  const place = `${where}, config_groups.${name}`;
  const { targets, weights } = group as JsonObject;
  const { num_bits: bits, strategy, block_structure: block } = weights as JsonObject;
  if (bits !== 8) throw unread(place, `weights in floats of ${JSON.stringify(bits)} bits`, null);
  if (!Array.isArray(targets) || !targets.every((target) => typeof target === "string")) {
    throw unread(place, "targets is no list of names", null);
  }
  return { targets, block: strategy === "block" ? blockOf(block, place, "block_structure") : null };
}

function unread(where: string, what: string, quantization: JsonValue): ModelError {
  return new ModelError({
    where,
    what: `${what}${named(quantization)}`,
    why: `crossblock reads weights in floating point, and these encodings: ${known}`,
    next: "give the folder of the unquantized model, or one in an encoding that is read",
  });
}

/** ` (bitsandbytes, 4 bits)`, or nothing where the configuration does not tell. */
function named(quantization: JsonValue): string {
  if (!isJsonObject(quantization)) return "";
  const { quant_method: method, bits, quant_algo: algorithm } = quantization;
  if (typeof method !== "string") return "";
  const more = typeof bits === "number" ? `, ${bits} bits` : typeof algorithm === "string" ? `, ${algorithm}` : "";
  return ` (${quote(method).slice(1, 41).replace(/"$/, "")}${more.slice(0, 40)})`;
}
