import { withRevision } from "../checkpoint/hub/hub-name.js";
import { EngineClient } from "../run/engine/engine-client.js";
import type { Inspection } from "../run/events/inspection.js";
import { homePath } from "../run/options/parse/path-option.js";

export interface InspectOptions {
  /** Branch, tag or commit of a model of the hub. Defaults to main. */
  readonly revision?: string;
  readonly signal?: AbortSignal;
}

/**
 * Reads what a model folder, a result or an export of it holds, by crossblock's own decoders: tensors, types, sizes,
 * ranges of scales, histograms of codes. libtorch is not needed.
 *
 * @param folder model folder, a result, a GPTQ folder, a `.gguf` file, any `.onnx` file, or owner/name of a model or a result on the Hugging Face Hub
 * @throws CheckpointError, FormatError for files that can't be read.
 */
export async function inspect(folder: string, options: InspectOptions = {}): Promise<Inspection> {
  const path = withRevision(homePath(folder, "path"), options.revision, "revision");
  await using engine = EngineClient.forStreaming();
  return await engine.call("inspect", { folder: path }, options);
}
