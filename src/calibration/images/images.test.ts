import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../checkpoint/json/json.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { CalibrationError } from "../../errors.js";
import { decodeImage, resized } from "./decode-image.js";
import { ImageExamples, imageFiles } from "./image-examples.js";
import { imageNetPreprocessing, type Preprocessing, readPreprocessing } from "./preprocessing.js";

const plain: Preprocessing = {
  ...imageNetPreprocessing,
  resize: null,
  crop: null,
  scale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
};

/** An image whose red grows to the right and whose green grows downwards. */
function ramp(width: number, height: number): ReturnType<typeof sharp> {
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return [10 * x, 20 * y, 7][i % 3] ?? 0;
  });
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

describe("images", () => {
  it("are decoded from PNG and WebP to the pixel, found below a folder in the order of their names", async () => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, "b"));
    await ramp(4, 3)
      .png()
      .toFile(join(folder.path, "b", "1.png"));
    await ramp(4, 3).webp({ lossless: true }).toFile(join(folder.path, "a.webp"));
    writeFileSync(join(folder.path, "notes.txt"), "no image");
    // As macOS and file managers leave them.
    writeFileSync(join(folder.path, "b", "._1.png"), "no image");
    mkdirSync(join(folder.path, ".thumbnails"));
    writeFileSync(join(folder.path, ".thumbnails", "1.png"), "no image");
    const files = await imageFiles(folder.path);
    expect(files.map((file) => file.slice(folder.path.length + 1))).toEqual(["a.webp", join("b", "1.png")]);
    for (const file of files) {
      const { height, width, values } = await decodeImage(file, plain);
      expect([height, width]).toEqual([3, 4]);
      expect([...values.subarray(3 * 6, 3 * 7)]).toEqual([20, 20, 7]);
    }
  });

  it("are turned as a camera says, before they are resized and cropped", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "a.png");
    // Held upright: the first row is the right side of the photo (EXIF orientation 6).
    await ramp(4, 3).withMetadata({ orientation: 6 }).png().toFile(file);
    const { height, width, values } = await decodeImage(file, plain);
    expect([height, width]).toEqual([4, 3]);
    const greens = Array.from({ length: 12 }, (_, i) => values[3 * i + 1]);
    expect(greens.slice(0, 3)).toEqual([40, 20, 0]);
    const reds = Array.from({ length: 12 }, (_, i) => values[3 * i]);
    expect([reds[0], reds[3], reds[6], reds[9]]).toEqual([0, 10, 20, 30]);
    const cut = await decodeImage(file, { ...plain, resize: 6, interpolation: "nearest", crop: [8, 6] });
    expect([cut.height, cut.width]).toEqual([8, 6]);
  });

  it("may be gray, transparent or of 16 bits; folders with a name like theirs are none", async () => {
    using folder = temporaryFolder();
    const at = (name: string): string => join(folder.path, name);
    mkdirSync(at("folder.png"));
    const gray = Uint8Array.of(10, 20, 30, 40);
    await sharp(gray, { raw: { width: 2, height: 2, channels: 1 } })
      .toColourspace("b-w")
      .png()
      .toFile(at("gray.png"));
    const clear = Uint8Array.of(1, 2, 3, 0, 4, 5, 6, 128, 7, 8, 9, 255, 10, 11, 12, 1);
    await sharp(clear, { raw: { width: 2, height: 2, channels: 4 } })
      .png()
      .toFile(at("clear.png"));
    await ramp(2, 2).toColourspace("rgb16").png().toFile(at("deep.png"));
    expect(await imageFiles(folder.path)).toEqual(["clear.png", "deep.png", "gray.png"].map(at));
    const values = async (name: string): Promise<number[]> => [...(await decodeImage(at(name), plain)).values];
    expect(await values("gray.png")).toEqual([10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40]);
    expect(await values("clear.png")).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(await values("deep.png")).toEqual([0, 0, 7, 10, 0, 7, 0, 20, 7, 10, 20, 7]);
  });

  it("are resized by the shorter side and cropped from the middle", async () => {
    expect(resized([300, 400], 256)).toEqual([256, 341]);
    expect(resized([400, 300], 256)).toEqual([341, 256]);
    expect(resized([400, 300], [10, 20])).toEqual([10, 20]);
    using folder = temporaryFolder();
    const file = join(folder.path, "a.png");
    await ramp(9, 5).png().toFile(file);
    const { height, width, values } = await decodeImage(file, { ...plain, crop: [3, 3] });
    expect([height, width]).toEqual([3, 3]);
    expect([...values.subarray(0, 3)]).toEqual([30, 20, 7]);
    const half = await decodeImage(file, { ...plain, resize: [5, 3], interpolation: "nearest" });
    expect([half.height, half.width]).toEqual([5, 3]);
    await expect(decodeImage(file, { ...plain, crop: [6, 3] })).rejects.toThrow(
      /5 x 9 pixels, of which 6 x 3.*Next: resize/,
    );
  });

  it("are what the network sees: scaled, centred, in its order of channels and dimensions", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "a.png");
    await ramp(2, 2).png().toFile(file);
    const seen = async (preprocessing: Preprocessing): Promise<readonly number[]> => {
      const examples = await ImageExamples.read("x", [file], preprocessing);
      const { x } = examples.read([0]);
      expect(x?.shape).toEqual([1, ...examples.shape]);
      const values = [...(x?.toFloat32Array() ?? [])];
      x?.dispose();
      return values;
    };
    expect(await seen(plain)).toEqual([0, 10, 0, 10, 0, 0, 20, 20, 7, 7, 7, 7]);
    expect(await seen({ ...plain, layout: "nhwc", channels: "bgr" })).toEqual([7, 0, 0, 7, 0, 10, 7, 20, 0, 7, 20, 10]);
    expect(await seen({ ...plain, scale: 0.5, mean: [1, 2, 3], std: [2, 4, 0.5] })).toEqual([
      -0.5, 2, -0.5, 2, -0.5, -0.5, 2, 2, 1, 1, 1, 1,
    ]);
  });

  it("of a grey or transparent file have three channels", async () => {
    using folder = temporaryFolder();
    const [grey, clear] = [join(folder.path, "grey.png"), join(folder.path, "clear.png")];
    await ramp(3, 3).greyscale().png().toFile(grey);
    await ramp(3, 3).ensureAlpha(0.5).png().toFile(clear);
    expect((await decodeImage(grey, plain)).values).toHaveLength(27);
    expect([...(await decodeImage(clear, plain)).values.subarray(3, 6)]).toEqual([10, 0, 7]);
  });

  it("may be printed colours, which become those of a screen", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "cmyk.jpg");
    const red = sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 220, g: 20, b: 20 } } });
    await red.toColourspace("cmyk").jpeg({ quality: 100 }).toFile(file);
    expect((await sharp(file).metadata()).space).toBe("cmyk");
    const { channels, values } = await decodeImage(file, plain);
    const [r = 0, g = 0, b = 0] = values;
    expect([channels, values.length]).toEqual([3, 192]);
    expect(r).toBeGreaterThan(180);
    expect(Math.max(g, b)).toBeLessThan(90);
  });

  it("are refused where they claim more pixels than a photo has, before they are read", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "claims.png");
    const small = await ramp(2, 2).png().toBuffer();
    small.writeUInt32BE(40_000, 16);
    small.writeUInt32BE(40_000, 20);
    small.writeUInt32BE(crc32(small.subarray(12, 29)), 29);
    writeFileSync(file, small);
    await expect(decodeImage(file, plain)).rejects.toThrow(
      /claims\.png: the image has more than 134 million pixels.*Next: scale it down/,
    );
  });

  it("are refused with the next action: none, a broken one, another size", async () => {
    using folder = temporaryFolder();
    await expect(imageFiles(folder.path)).rejects.toThrow(/no images.*holds no files.*Next: give a folder/);
    writeFileSync(join(folder.path, "a.TIFF"), "");
    writeFileSync(join(folder.path, "b.txt"), "");
    await expect(imageFiles(folder.path)).rejects.toThrow(
      /2 files of other kinds: \.tiff, \.txt.*Next: save them as PNG/,
    );
    const [broken, small, large] = ["broken.jpg", "small.png", "large.png"].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(broken, "not a JPEG");
    await ramp(2, 2).png().toFile(small);
    await ramp(3, 2).png().toFile(large);
    await expect(decodeImage(broken, plain)).rejects.toThrow(CalibrationError);
    await expect(decodeImage(broken, plain)).rejects.toThrow(
      /broken\.jpg: the image can't be decoded.*Next: take the file out/,
    );
    await expect(ImageExamples.read("x", [small, large], plain)).rejects.toThrow(
      /2 x 3 pixels, where the first image has 2 x 2/,
    );
  });
});

describe("preprocessor_config.json", () => {
  it("says what Hugging Face's image processors do", () => {
    const vit = {
      do_resize: true,
      size: { height: 224, width: 224 },
      resample: 2,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
    };
    expect(readPreprocessing(vit, "")).toMatchObject({
      resize: [224, 224],
      crop: null,
      interpolation: "linear",
      scale: 1 / 255,
      mean: [0.5, 0.5, 0.5],
    });
    const resnet = {
      size: { shortest_edge: 256 },
      do_center_crop: true,
      crop_size: { height: 224, width: 224 },
      resample: 3,
      do_normalize: false,
    };
    expect(readPreprocessing(resnet, "")).toMatchObject({
      resize: 256,
      crop: [224, 224],
      interpolation: "cubic",
      mean: [0, 0, 0],
      std: [1, 1, 1],
    });
    expect(readPreprocessing({ do_resize: false, do_rescale: false }, "")).toMatchObject({ resize: null, scale: 1 });
  });

  it.each<readonly [string, Record<string, unknown>, object]>([
    ["ConvNeXt, below 384", { size: { shortest_edge: 224 }, crop_pct: 0.875 }, { resize: 256, crop: [224, 224] }],
    ["ConvNeXt, from 384 on", { size: { shortest_edge: 384 }, crop_pct: 1 }, { resize: [384, 384], crop: null }],
    ["MobileViT", { size: { shortest_edge: 288 }, do_flip_channel_order: true }, { channels: "bgr", mean: [0, 0, 0] }],
    [
      "EfficientNet",
      { size: { height: 8, width: 9 }, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.25, 1], include_top: true },
      { resize: [8, 9], mean: [0.5, 0.5, 0.5], std: [0.25, 0.0625, 1] },
    ],
    ["pixels from -1", { rescale_factor: 1 / 127.5, rescale_offset: true, do_normalize: false }, { mean: [1, 1, 1] }],
  ])("says what the processor of %s does", (_, config, expected) => {
    expect(readPreprocessing(config as JsonObject, "")).toMatchObject(expected);
  });

  it.each([
    ["a size without numbers", { size: { height: "large" } }],
    ["another resampling", { resample: 5 }],
    ["a deviation of 0", { image_std: [1, 0, 1] }],
    ["two means", { image_mean: [1, 2] }],
    ["a size of the width alone", { size: { width: 10 } }],
    ["a share of the crop that is none", { size: { shortest_edge: 8 }, crop_pct: 0 }],
    ["normalising by nothing", { do_normalize: true, image_mean: [0, 0, 0] }],
  ])("is refused for %s", (_, config) => {
    expect(() => readPreprocessing(config, "preprocessor_config.json")).toThrow(
      /no preprocessing that crossblock does.*Next: mend the file, or move it away and say it yourself/,
    );
  });
});
