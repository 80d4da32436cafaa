import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Preprocessing } from "../../../calibration/images/preprocessing.js";
import { InputError } from "../../../errors.js";
import { exporters } from "../../../format/exporters.js";
import { recordFile } from "../../../format/written-files.js";
import { graphFormat, isGraph } from "../../options/graph/is-graph.js";

/** A network in an ONNX file, and what images were for it when it was made. */
export interface GraphPlace {
  readonly file: string;
  /** Null where no record beside it tells. */
  readonly images: Preprocessing | null;
}

const three = z.tuple([z.number(), z.number(), z.number()]);
const side = z.tuple([z.number(), z.number()]);
const record = z.object({
  network: z.object({
    kind: z.literal("graph"),
    images: z
      .object({
        resize: z.union([z.number(), side]).nullable(),
        interpolation: z.enum(["nearest", "linear", "cubic", "lanczos3"]),
        crop: side.nullable(),
        scale: z.number(),
        mean: three,
        std: three,
        channels: z.enum(["rgb", "bgr", "gray"]),
        layout: z.enum(["nchw", "nhwc"]),
      })
      .nullable(),
  }),
});

/**
 * The network that a path names: an ONNX file, or a folder that `quantize` wrote.
 *
 * @throws InputError for anything else
 */
export async function graphAt(path: string): Promise<GraphPlace> {
  const file = isGraph({ model: path }) ? path : await exporters[graphFormat].find(path).catch(() => null);
  if (file === null) {
    throw new InputError({
      where: path,
      what: "is no ONNX network, which images are for",
      next: "give a .onnx file, or a folder that `crossblock quantize MODEL.onnx` wrote; a language model is evaluated on --text",
    });
  }
  const folder = isGraph({ model: path }) ? null : path;
  return { file, images: folder === null ? null : recorded(folder) };
}

function recorded(folder: string): Preprocessing | null {
  const path = join(folder, recordFile);
  if (!existsSync(path)) return null;
  try {
    return record.parse(JSON.parse(readFileSync(path, "utf8"))).network.images;
  } catch {
    // Somebody else's, or of a version that tells less: then it is as with any ONNX file.
    return null;
  }
}
