/** Which formats hold a model of each family, as their own planners judge the tiny models of the tests. Made from dist/. */
import { readFileSync } from "node:fs";
import { ggufFamily } from "../../dist/format/gguf/network/families.js";
import { modelShape } from "../../dist/format/gguf/network/model-shape.js";
import { ropeEncoding } from "../../dist/format/gguf/network/rope-scaling.js";
import { mlxTextFamily } from "../../dist/format/mlx/families.js";
import { assertExpressible } from "../../dist/format/onnx/graph/graph-block.js";
import { families, readSpec } from "../../dist/network/index.js";

/** @typedef {{ models: Record<string, { config: Record<string, unknown> }> }} TinyModels */
/** @param {string} name @returns {TinyModels} */
const tiny = (name) => JSON.parse(readFileSync(new URL(`../../src/network/testing/${name}`, import.meta.url), "utf8"));

/** The first tiny model of each family. @returns {ReadonlyMap<string, Record<string, unknown>>} */
export function tinyConfigs() {
  const models = [tiny("tiny-models.json"), tiny("family-models.json")].flatMap(({ models }) => Object.values(models));
  const configs = new Map();
  for (const { config } of models) {
    if (!configs.has(config["model_type"])) configs.set(config["model_type"], config);
  }
  return configs;
}

/** The tiny models have blocks and numbers in an order that no released model has. @param {Record<string, unknown>} config */
function usualConfig(config) {
  const { layer_types: _, no_rope_layers: _other, no_rope_layer_interval: _interval, ...all } = config;
  const { sliding_window_pattern: _pattern, per_layer_config: _perLayer, ...rest } = all;
  const gemma = config["query_pre_attn_scalar"] === undefined ? {} : { query_pre_attn_scalar: config["head_dim"] };
  const delta =
    config["linear_key_head_dim"] === undefined ? {} : { linear_value_head_dim: config["linear_key_head_dim"] };
  const window = config["model_type"] === "exaone4" ? { num_hidden_layers: 64 } : { num_hidden_layers: 12 };
  const kept = config["n_layer"] === undefined ? window : {};
  return { ...rest, ...gemma, ...delta, ...kept };
}

/** Why a format refuses a network, without the advice; null where it holds it. @param {() => unknown} plan @returns {string | null} */
function refusal(plan) {
  try {
    plan();
    return null;
  } catch (error) {
    return error instanceof Error && "what" in error ? String(error.what) : String(error);
  }
}

/** @typedef {{ family: string, folders: null, onnx: string | null, gguf: string | null, mlx: string | null }} FamilyExports */
/** Null where the format holds a model of the family. @returns {FamilyExports[]} */
export function familyExports() {
  const configs = tinyConfigs();
  return [...families.keys()].map((family) => {
    const config = configs.get(family);
    const mlx = refusal(() => mlxTextFamily(family));
    // Families with experts have no tiny model; the formats judge them by what they are.
    if (config === undefined) {
      return { family, folders: null, onnx: "experts", gguf: refusal(() => ggufFamily(family)), mlx };
    }
    const spec = readSpec(/** @type {never} */ (config));
    const usual = readSpec(/** @type {never} */ (usualConfig(config)));
    return {
      family,
      folders: null,
      onnx: refusal(() => assertExpressible(spec)),
      gguf: refusal(() => [modelShape(usual), ropeEncoding(usual)]),
      mlx,
    };
  });
}
