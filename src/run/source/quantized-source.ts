import { isJsonObject } from "../../checkpoint/json/json.js";
import type { ModelConfig } from "../../checkpoint/model-config.js";

/** Whether `config.json` says that the weights are quantized; a null says that they are not. */
export function hasQuantization(config: ModelConfig): boolean {
  return (config["quantization_config"] ?? config["compression_config"] ?? null) !== null;
}

/** ` (gptq, 4 bits)`, or nothing where the configuration does not tell. */
export function quantizationMethod(config: ModelConfig): string {
  const quantization = config["quantization_config"] ?? config["compression_config"];
  if (!isJsonObject(quantization)) return "";
  const { quant_method: method, bits } = quantization;
  if (typeof method !== "string") return "";
  return ` (${method.slice(0, 40)}${typeof bits === "number" ? `, ${bits} bits` : ""})`;
}
