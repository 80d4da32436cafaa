import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  imageNetPreprocessing,
  type Preprocessing,
  readPreprocessing,
} from "../../../calibration/images/preprocessing.js";
import { parseJsonObject } from "../../../checkpoint/json/json.js";
import { CalibrationError, OptionError } from "../../../errors.js";
import { companionFolder } from "../../../format/qdq/graph/companion-files.js";
import type { Graph } from "../../../network/index.js";
import { choosesImages, type ImageOptions } from "../../options/graph/image-options.js";

/** What is done to images, and where that was taken from. */
export interface ChosenPreprocessing extends Preprocessing {
  /** `assumed` where nobody said it. */
  readonly from: "options" | "record" | "preprocessor_config.json" | "assumed";
}

const preprocessorFile = "preprocessor_config.json";

/** What an input of a network wants of an image. */
interface ImageInput {
  readonly name: string;
  readonly layout: Preprocessing["layout"];
  readonly channels: 1 | 3;
  /** Whether the file says so, or it follows from what was asked. */
  readonly isStored: boolean;
  /** The type of its numbers where they are whole. */
  readonly integers: string | null;
  /** Null where the file leaves it open. */
  readonly height: number | null;
  readonly width: number | null;
}

/**
 * What images become for a network: as options say, as the `preprocessor_config.json` beside it says, or else what classifiers of
 * ImageNet want (a gray input gets pixels from 0 to 1), at the size of the network's input.
 *
 * @param folder of the model
 * @param recorded what images were for it when it was quantized
 * @throws CalibrationError for a network that images can't be given to, or a configuration that can't be read
 */
export function preprocessingFor(
  graph: Graph,
  folder: string,
  options: ImageOptions,
  recorded: Preprocessing | null = null,
): ChosenPreprocessing {
  const input = imageInput(graph, options);
  requireSense(options, input, graph.file);
  const path = join(companionFolder(folder), preprocessorFile);
  if (recorded !== null && !choosesImages(options)) return { ...recorded, from: "record" };
  const usual = assumed(input);
  const stored = existsSync(path)
    ? readPreprocessing(parseJsonObject(readFileSync(path, "utf8"), path), path, usual)
    : null;
  const base = recorded ?? stored ?? usual;
  const from = choosesImages(options) ? "options" : stored !== null ? preprocessorFile : "assumed";
  const [low, high] = options.range ?? [0, 255 * base.scale];
  // Taken off what is scaled alone, which begins at 0.
  const mean = each(options.mean) ?? base.mean;
  const chosen: ChosenPreprocessing = {
    from,
    resize: options.resize === "none" ? null : (options.resize ?? base.resize),
    crop: cropOf(options.crop) ?? (options.crop === "none" ? null : base.crop),
    interpolation: options.interpolation ?? base.interpolation,
    scale: (high - low) / 255,
    mean: [mean[0] - low, mean[1] - low, mean[2] - low],
    std: each(options.std) ?? base.std,
    channels: options.channels ?? (input.channels === 1 ? "gray" : base.channels === "gray" ? "rgb" : base.channels),
    layout: options.layout ?? input.layout,
  };
  const isAsked = options.resize !== null || options.crop !== null;
  requireSize(
    chosen,
    input,
    graph.file,
    isAsked ? "images.resize and images.crop say" : `${base === stored ? path : "its record"} says`,
  );
  return wholePixels(chosen, input, graph.file);
}

/** @throws CalibrationError where no image would come out in the size that the network's input has */
function requireSize(
  { resize, crop }: Preprocessing,
  { name, height, width }: ImageInput,
  file: string,
  says: string,
): void {
  if (height === null || width === null) return;
  const [down, across] = crop ?? (typeof resize === "number" ? [null, null] : (resize ?? [null, null]));
  // Of a shorter side alone it is known that it is one of both.
  const isWhole = down === null && typeof resize === "number" && resize !== Math.min(height, width);
  if (!isWhole && (down === null || (down === height && across === width))) return;
  const made = down === null ? `${resize} pixels on the shorter side` : `${down} x ${across} pixels`;
  throw new CalibrationError({
    where: `${file}, input "${name}"`,
    what: `it is ${height} x ${width} pixels, and images would become ${made}`,
    why: `so ${says}`,
    next: `use --set images.resize=${Math.round(Math.max(height, width) / 0.875)} "images.crop=[${height},${width}]", or a network for that size`,
  });
}

/** In words, for a plan and a warning. */
export function preprocessingText({ resize, crop, scale, mean, std, channels, layout }: Preprocessing): string {
  const size = (value: number | readonly number[]): string =>
    typeof value === "number" ? `${value}` : value.join(" x ");
  const used = channels === "gray" ? 1 : 3;
  const numbers = (values: readonly number[]): string =>
    (new Set(values).size === 1 ? values.slice(0, 1) : values.slice(0, used)).map((value) => shown(value)).join(", ");
  return [
    ...(resize === null ? [] : [`resized to ${size(resize)}`]),
    ...(crop === null ? [] : [`cropped to ${size(crop)}`]),
    `${channels} from 0 to ${shown(255 * scale)}, less ${numbers(mean)}, divided by ${numbers(std)}`,
    layout.toUpperCase(),
  ].join("; ");
}

function shown(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function assumed(input: ImageInput): Preprocessing {
  const found = assumedFloats(input);
  return input.integers === null ? found : { ...found, scale: 1, mean: [0, 0, 0], std: [1, 1, 1] };
}

function assumedFloats({ channels, height, width }: ImageInput): Preprocessing {
  if (channels === 1) {
    const size = height === null || width === null ? null : ([height, width] as const);
    return { ...imageNetPreprocessing, resize: size, crop: null, mean: [0, 0, 0], std: [1, 1, 1], channels: "gray" };
  }
  if (height === null || width === null) return imageNetPreprocessing;
  // Of 224 pixels 256 are taken, and so of other sizes.
  return { ...imageNetPreprocessing, resize: Math.round(Math.max(height, width) / 0.875), crop: [height, width] };
}

function imageInput(graph: Graph, options: ImageOptions): ImageInput {
  const { file, inputs } = graph;
  const [only, ...others] = inputs;
  if (only === undefined || others.length > 0) {
    throw new CalibrationError({
      what: `images are for one input, and the network reads ${inputs.length}`,
      where: file,
      ...(inputs.length > 0 && { why: inputs.map(({ name }) => name).join(", ") }),
      next: "give a .safetensors file with a tensor for each input",
    });
  }
  const { name, shape, dataType } = only;
  const [, a = null, b = null, c = null] = shape ?? [];
  const count = (size: number | string | null): 1 | 3 | null => (size === 1 || size === 3 ? size : null);
  const layout = options.layout ?? (count(a) === null && count(c) !== null ? "nhwc" : "nchw");
  const stored = layout === "nchw" ? a : c;
  const channels = typeof stored === "number" ? count(stored) : options.channels === "gray" ? 1 : 3;
  if (channels === null || (shape !== null && shape.length !== 4)) {
    throw new CalibrationError({
      what: `its input "${name}" is [${(shape ?? []).map((size) => size ?? "?").join(", ")}], which is no image`,
      where: file,
      why: "an image is [n, 3, height, width] or [n, height, width, 3]; gray has 1 in the place of 3",
      next:
        options.layout === null
          ? "give prepared tensors (.npy, .safetensors) in place of images"
          : `leave out images.layout=${options.layout}, or give prepared tensors (.npy, .safetensors) in place of images`,
    });
  }
  const [height, width] = layout === "nchw" ? [b, c] : [a, b];
  const known = (size: number | string | null): number | null => (typeof size === "number" ? size : null);
  const integers = dataType.startsWith("float") || dataType === "bfloat16" ? null : dataType;
  const isStored = typeof stored === "number";
  return { name, layout, channels, isStored, integers, height: known(height), width: known(width) };
}

/** @throws OptionError for what can't be meant */
function requireSense({ channels, mean, std, range }: ImageOptions, input: ImageInput, file: string): void {
  const refuse = (name: string, what: string, next: string): never => {
    throw new OptionError({ where: `option "images.${name}"`, what, next });
  };
  if (range !== null && range[0] === range[1]) {
    refuse("range", `black and white are both ${range[0]}`, "give two numbers that differ: [0,1], [-1,1] or [0,255]");
  }
  if (channels !== null && input.isStored && (channels === "gray") !== (input.channels === 1)) {
    const own = input.channels === 1 ? "one channel" : "three channels";
    refuse("channels", `"${channels}", and "${input.name}" of ${file} has ${own}`, "leave it out");
  }
  const isGray = channels === "gray" || input.channels === 1;
  for (const [name, value] of Object.entries({ mean, std })) {
    if (isGray && Array.isArray(value))
      refuse(name, "three numbers for one channel", `give one: images.${name}=${value[0]}`);
  }
}

/** @throws CalibrationError where a network reads whole numbers, and pixels would become others */
function wholePixels(chosen: ChosenPreprocessing, { name, integers }: ImageInput, file: string): ChosenPreprocessing {
  const { scale, mean, std } = chosen;
  const isRaw = scale === 1 && mean.every((value) => value === 0) && std.every((value) => value === 1);
  if (integers === null || isRaw) return chosen;
  throw new CalibrationError({
    where: `${file}, input "${name}"`,
    what: `it reads ${integers}, and pixels would become fractions: ${preprocessingText(chosen)}`,
    next: 'use --set "images.range=[0,255]" images.mean=0 images.std=1',
  });
}

function cropOf(crop: ImageOptions["crop"]): readonly [number, number] | null {
  if (crop === null || crop === "none") return null;
  return typeof crop === "number" ? [crop, crop] : crop;
}

function each(value: ImageOptions["mean"]): readonly [number, number, number] | null {
  return typeof value === "number" ? [value, value, value] : value;
}
