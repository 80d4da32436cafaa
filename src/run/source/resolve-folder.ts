import type { ResolveModelOptions } from "../../checkpoint/hub/download-model.js";
import { resolveModel } from "../../checkpoint/hub/hub.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { WorkEvent } from "../events/events.js";

/**
 * The folder of a model: as given, or downloaded where it is a name of the Hugging Face Hub.
 *
 * @param wanted folders of the repository that are wanted too, the exports of a result; what may refuse a model before its
 *   weights are downloaded
 */
export async function resolveFolder(
  nameOrFolder: string,
  { emit, signal }: RequestContext<WorkEvent>,
  wanted: Pick<ResolveModelOptions, "folders" | "beforeWeights"> = {},
): Promise<string> {
  let shown = 0;
  return resolveModel(nameOrFolder, {
    signal,
    ...wanted,
    onProgress: ({ file, bytes, totalBytes }) => {
      if (performance.now() - shown < 200 && bytes < totalBytes) return;
      shown = performance.now();
      emit({ event: "progress", stage: `downloading ${file}`, done: bytes, total: totalBytes });
    },
  });
}
