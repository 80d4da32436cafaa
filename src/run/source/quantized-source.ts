import type { ModelConfig } from "../../checkpoint/model-config.js";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import { ModelError } from "../../errors.js";
import { quantizationOf } from "../../format/dequantized/read-encoding.js";
import { recordFile } from "../../format/written-files.js";

/**
 * Refuses to quantize what crossblock quantized. Models that others quantized are read as floating point, because there may be no
 * other form of them.
 */
export function refuseResult(folder: string, config: ModelConfig): void {
  if (quantizationOf(config) === null || !ModelFolder.open(folder).has(recordFile)) return;
  throw new ModelError({
    where: folder,
    what: "this is a result of crossblock, which is quantized already",
    why: `it has ${recordFile}`,
    next: "give the folder of the model that it was made of; crossblock export makes further formats of a result",
  });
}
