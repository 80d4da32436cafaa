import { EngineClient } from "../run/engine/engine-client.js";
import type { Inspection } from "../run/events/inspection.js";
import { homePath } from "../run/options/parse/path-option.js";

/**
 * Reads what a model folder, a result or an export of it holds, by crossblock's own decoders: tensors, types, sizes,
 * ranges of scales, histograms of codes. libtorch is not needed.
 *
 * @param folder model folder, a name on the Hugging Face Hub, a result, a GPTQ folder, or a `.gguf` file
 * @throws CheckpointError, FormatError for files that can't be read.
 */
export async function inspect(folder: string, options: { readonly signal?: AbortSignal } = {}): Promise<Inspection> {
  await using engine = EngineClient.forStreaming();
  return await engine.call("inspect", { folder: homePath(folder, "path") }, options);
}
