import { EngineClient } from "./engine-client.js";
import type { Inspection } from "./inspection.js";

/**
 * Reads what a model folder or a result holds: tensors, schemes, sizes, code histograms.
 *
 * @throws CheckpointError for a folder that can't be read.
 */
export async function inspect(folder: string, options: { readonly signal?: AbortSignal } = {}): Promise<Inspection> {
  await using engine = new EngineClient();
  return await engine.call("inspect", { folder }, options);
}
