import type { ModelConfig } from "../../checkpoint/model-config.js";
import { CrossblockError } from "../../errors.js";
import {
  codedViews,
  type DecoderSpec,
  modelSpec,
  readSpec,
  requireTensors,
  resolveConfig,
  storedViews,
  type TensorFacts,
} from "../../network/index.js";
import type { ExportSource } from "../contract/export-source.js";
import type { FolderViews } from "./stored-source.js";

/**
 * The network of a result: what every writer takes its numbers from.
 *
 * @throws ModelError for a network that crossblock does not compute
 */
export function sourceSpec({ config, plain }: Pick<ExportSource, "config" | "plain">): DecoderSpec {
  return modelSpec(config, (name) => plain.has(name));
}

/**
 * Refuses a result that lacks a tensor of its network.
 *
 * @throws ModelError as `sourceSpec` does; CheckpointError naming the tensor
 */
export function requireComplete(source: ExportSource): void {
  requireTensors(sourceSpec(source), source.folder, (name) => {
    const layout = source.linears.get(name.replace(/\.weight$/, ""));
    const quantized = layout !== undefined && name.endsWith(".weight");
    return quantized ? [layout.rows, layout.columns] : source.plain.get(name)?.shape;
  });
}

/** How a folder of this network stores its tensors; nothing to view of networks that are not computed here. */
export function folderViews({ config, plain }: Pick<ExportSource, "config" | "plain">): FolderViews {
  try {
    const spec = readSpec(config, (name) => plain.has(name));
    return { plain: storedViews(spec, () => true), coded: codedViews(spec) };
  } catch (error) {
    if (error instanceof CrossblockError) return { plain: new Map(), coded: new Map() };
    throw error;
  }
}

/** The configuration of a quantized folder as its network has it; as it stands for a network that is not computed here. */
export function resolvedConfig(config: ModelConfig, tensors: TensorFacts): ModelConfig {
  try {
    return resolveConfig(config, tensors).config;
  } catch (error) {
    if (error instanceof CrossblockError) return config;
    throw error;
  }
}
