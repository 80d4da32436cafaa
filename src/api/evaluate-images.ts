import { OptionError } from "../errors.js";
import { EngineClient } from "../run/engine/engine-client.js";
import type { LoadOptions } from "../run/engine/engine-protocol.js";
import type { ImagesEvent, WorkEvent } from "../run/events/events.js";
import { evaluationDefaults } from "../run/options/evaluation-defaults.js";
import { imageOptions } from "../run/options/graph/image-options.js";
import { parseOptions, rejectUnknownKeys } from "../run/options/parse/parse-options.js";
import { homePath } from "../run/options/parse/path-option.js";
import type { QuantizeOptions } from "./generated/quantize-options.js";

/** Images to evaluate an ONNX network on, and how. */
export interface EvaluateImagesOptions extends Pick<LoadOptions, "device"> {
  /** Folders of images (JPEG, PNG, WebP), or one file of prepared tensors (`.npy`, `.safetensors`). */
  readonly images: string | readonly string[];
  /** A file that tells their classes, `image.png 3` a line or JSON. Without it folders do: `DIR/CLASS/image.png`. */
  readonly labels?: string;
  /** An ONNX file or a result, such as the network that was quantized. */
  readonly reference?: string;
  /** Most images to look at, from the first. Defaults to all. */
  readonly limit?: number;
  /** What images become; what is left out is as the network's `preprocessor_config.json` or record says. */
  readonly preprocessing?: NonNullable<QuantizeOptions["images"]>;
  readonly signal?: AbortSignal;
  /** Sees progress and warnings on the way. */
  readonly onEvent?: (event: WorkEvent) => void;
}

/**
 * How often an ONNX network is right on images whose classes are known, and how far its outputs are from a reference's.
 *
 * @param model an ONNX file, or a folder that `quantize` wrote of one
 * @example
 * const { accuracy, reference } = await evaluateImages("net-w4", { images: "test", reference: "net.onnx" });
 * @throws CalibrationError for images or classes that can't be used; ModelError for a network that can't be computed
 */
export async function evaluateImages(model: string, options: EvaluateImagesOptions): Promise<ImagesEvent> {
  const { labels, reference, limit = null, preprocessing = {}, device = evaluationDefaults.device } = options;
  if (limit !== null && !(Number.isInteger(limit) && limit >= 1)) {
    throw new OptionError({ where: "limit", what: `${limit} is no number of images`, next: "give 1 or more" });
  }
  rejectUnknownKeys(imageOptions, { ...preprocessing });
  const images = [options.images].flat().map((path) => homePath(path, "images"));
  await using engine = new EngineClient();
  return await engine.call(
    "images",
    {
      model: homePath(model, "model"),
      images,
      labels: labels === undefined ? null : homePath(labels, "labels"),
      reference: reference === undefined ? null : homePath(reference, "reference"),
      limit,
      options: parseOptions(imageOptions, { ...preprocessing }),
      device,
    },
    options,
  );
}
