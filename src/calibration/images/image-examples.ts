import { readdir } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { CalibrationError } from "../../errors.js";
import { Tensor } from "../../tensor/index.js";
import type { Ports } from "../port-store.js";
import { decodeImage, type Pixels } from "./decode-image.js";
import type { Preprocessing } from "./preprocessing.js";

const IMAGE = /\.(?:jpe?g|png|webp)$/i;
/** Endings of images that are not read. */
const OTHER_IMAGES: ReadonlySet<string> = new Set([".avif", ".bmp", ".gif", ".heic", ".heif", ".tif", ".tiff"]);

/** Whether a file has the name of an image that is read. */
export function isImageFile(name: string): boolean {
  return IMAGE.test(name);
}

/** The images below a folder, in the order of their names; hidden files are none. @throws CalibrationError where there are none */
export async function imageFiles(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw fileSystemError(error, "the folder of images can't be read", folder);
  });
  const all = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(relative(folder, entry.parentPath), entry.name))
    // What other systems keep beside each file, and thumbnails: named like images, and none.
    .filter((name) => !name.split(sep).some((part) => part.startsWith(".")))
    .sort();
  const files = all.filter(isImageFile);
  if (files.length > 0) return files.map((name) => join(folder, name));
  const kinds = [...new Set(all.map((name) => extname(name).toLowerCase()))].filter((kind) => kind !== "");
  const isOther = kinds.some((kind) => OTHER_IMAGES.has(kind));
  throw new CalibrationError({
    what: "no images (JPEG, PNG, WebP)",
    where: folder,
    why:
      all.length === 0
        ? "it holds no files"
        : `it holds ${all.length} files of other kinds: ${kinds.slice(0, 5).join(", ") || "none with an ending"}`,
    next: isOther
      ? "save them as PNG or JPEG"
      : "give a folder that holds some, or prepared tensors (.npy, .safetensors)",
  });
}

/** Images in memory, a byte a number, and what a network sees of them. */
export class ImageExamples {
  private constructor(
    /** The input of the network that they are for. */
    readonly input: string,
    private readonly images: readonly Pixels[],
    private readonly preprocessing: Preprocessing,
  ) {}

  /**
   * Decodes images, `onDone` called after each.
   *
   * @throws CalibrationError for one that is no image, or of another size than the first
   */
  static async read(
    input: string,
    files: readonly string[],
    preprocessing: Preprocessing,
    onDone: (done: number) => void = () => {},
  ): Promise<ImageExamples> {
    const images: Pixels[] = [];
    for (const file of files) {
      const image = await decodeImage(file, preprocessing);
      const first = images[0] ?? image;
      if (image.height !== first.height || image.width !== first.width) {
        throw new CalibrationError({
          what: `${image.height} x ${image.width} pixels, where the first image has ${first.height} x ${first.width}`,
          where: file,
          next: "resize both sides, or crop, so that all have one size",
        });
      }
      images.push(image);
      onDone(images.length);
    }
    return new ImageExamples(input, images, preprocessing);
  }

  get count(): number {
    return this.images.length;
  }

  /** Of one example, as the network sees it. */
  get shape(): readonly number[] {
    const { height = 0, width = 0, channels = 3 } = this.images[0] ?? {};
    return this.preprocessing.layout === "nchw" ? [channels, height, width] : [height, width, channels];
  }

  /** `[indices.length, ...shape]`, fp32 on the CPU. */
  read(indices: readonly number[]): Ports {
    const size = this.shape.reduce((product, each) => product * each, 1);
    const values = new Float32Array(indices.length * size);
    indices.forEach((index, row) => {
      const image = this.images[index];
      if (image === undefined) throw new RangeError(`there is no image ${index}`);
      this.#fill(values.subarray(row * size, (row + 1) * size), image);
    });
    return { [this.input]: Tensor.from(values, [indices.length, ...this.shape]) };
  }

  #fill(to: Float32Array, { height, width, channels: count, values }: Pixels): void {
    const { scale, mean, std, channels, layout } = this.preprocessing;
    const pixels = height * width;
    for (const c of count === 1 ? ([0] as const) : ([0, 1, 2] as const)) {
      const from = channels === "bgr" ? 2 - c : c;
      for (let i = 0; i < pixels; i++) {
        const at = layout === "nchw" ? c * pixels + i : count * i + c;
        to[at] = ((values[count * i + from] as number) * scale - mean[c]) / std[c];
      }
    }
  }
}
