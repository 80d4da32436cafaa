import type { JsonObject } from "../../../checkpoint/json/json.js";
import { standardJson } from "../../../checkpoint/json/json-text.js";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { exportedConfig } from "../../contract/export-config.js";
import type { ExportSource } from "../../contract/export-source.js";
import { graphBlock } from "../graph/graph-block.js";
import type { OnnxPlan } from "../plan.js";

/** The text of the folder's `config.json`, without the words of Python's that JavaScript's JSON does not have. */
export function onnxConfigText(plan: OnnxPlan, source: ExportSource): string {
  return standardJson(exportedConfig(source, onnxConfig(plan, source.config)));
}

/**
 * What `config.json` must say for transformers.js: which file to take when the user names no dtype, how many data files it
 * has, and the sizes of the cache, which it reads from keys that transformers can do without.
 */
function onnxConfig({ spec, dtype, modelFile, dataFiles }: OnnxPlan, config: ModelConfig): JsonObject {
  const { kvHeads, headDim } = graphBlock(spec, 0).attention;
  const sizes: JsonObject =
    spec.embedding.positions === null ? { num_key_value_heads: kvHeads, head_dim: headDim } : {};
  const missing = Object.entries(sizes).filter(([key]) => config[key] === undefined || config[key] === null);
  return {
    ...Object.fromEntries(missing),
    "transformers.js_config": { dtype, use_external_data_format: { [modelFile]: dataFiles.length } },
  };
}
