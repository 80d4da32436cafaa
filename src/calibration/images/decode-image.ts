import { CalibrationError, EnvironmentError } from "../../errors.js";
import type { Preprocessing } from "./preprocessing.js";

/** Pixels of an image, row by row, red first, `[height, width, channels]`. */
export interface Pixels {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly values: Uint8Array;
}

/** More pixels than this no photo has: a small file that claims them means harm. */
const MOST_PIXELS = 134_000_000;

/**
 * Decodes a JPEG, PNG or WebP file, turned as its EXIF data say, resized and cropped; transparent parts are as they are stored.
 *
 * @throws CalibrationError for a file that is no such image; EnvironmentError where the decoder is not installed
 */
export async function decodeImage(
  file: string,
  {
    resize,
    interpolation,
    crop,
    channels = "rgb",
  }: Pick<Preprocessing, "resize" | "interpolation" | "crop"> & Partial<Pick<Preprocessing, "channels">>,
): Promise<Pixels> {
  const sharp = await importSharp();
  try {
    // Cameras store how a photo is turned beside its pixels.
    const image = sharp(file, { limitInputPixels: MOST_PIXELS }).rotate();
    const { width: across = 0, height: down = 0, orientation = 1 } = await image.metadata();
    const [height, width] = orientation > 4 ? [across, down] : [down, across];
    const [h, w] = resized([height, width], resize);
    const kernel = interpolation;
    const wanted = channels === "gray" ? 1 : 3;
    let pipeline = image.toColourspace(wanted === 1 ? "b-w" : "srgb").removeAlpha();
    if (h !== height || w !== width) pipeline = pipeline.resize({ width: w, height: h, fit: "fill", kernel });
    if (crop !== null) {
      const [cropHeight, cropWidth] = crop;
      if (cropHeight > h || cropWidth > w) {
        throw new CalibrationError({
          what: `an image of ${h} x ${w} pixels, of which ${cropHeight} x ${cropWidth} are to be cut out`,
          where: file,
          next: "resize to a larger size before cropping, or take larger images",
        });
      }
      const [top, left] = [Math.floor((h - cropHeight) / 2), Math.floor((w - cropWidth) / 2)];
      pipeline = pipeline.extract({ top, left, width: cropWidth, height: cropHeight });
    }
    const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true });
    if (info.channels !== wanted) throw new Error(`${info.channels} channels`);
    return { height: info.height, width: info.width, channels: wanted, values: data };
  } catch (error) {
    if (error instanceof CalibrationError) throw error;
    const why = error instanceof Error ? error.message.replace(/\s+/g, " ").slice(0, 200) : String(error);
    const isTooLarge = /exceeds pixel limit/.test(why);
    throw new CalibrationError({
      what: isTooLarge ? `the image has more than ${MOST_PIXELS / 1e6} million pixels` : "the image can't be decoded",
      where: file,
      ...(!isTooLarge && { why }),
      next: isTooLarge
        ? "scale it down, or take the file out of the folder"
        : "take the file out of the folder, or save it again as PNG",
      cause: error,
    });
  }
}

/** Height and width after resizing: of the shorter side to a number, or of both. Source: torchvision's and Hugging Face's `resize`. */
export function resized(
  [height, width]: readonly [number, number],
  resize: Preprocessing["resize"],
): readonly [number, number] {
  if (resize === null) return [height, width];
  if (typeof resize !== "number") return resize;
  const shorter = Math.max(1, Math.min(height, width));
  const long = Math.max(1, Math.trunc((resize * Math.max(height, width)) / shorter));
  return height <= width ? [resize, long] : [long, resize];
}

async function importSharp(): Promise<typeof import("sharp")["default"]> {
  try {
    return (await import("sharp")).default;
  } catch (cause) {
    throw new EnvironmentError({
      what: "images are decoded by the package sharp, which is not installed",
      next: "npm install sharp, or give prepared tensors (.npy, .safetensors)",
      cause,
    });
  }
}
