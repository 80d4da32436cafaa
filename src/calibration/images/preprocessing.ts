import type { JsonObject, JsonValue } from "../../checkpoint/json/json.js";
import { isJsonObject } from "../../checkpoint/json/json.js";
import { CalibrationError } from "../../errors.js";

/** What the values of a pixel are, in the order that a network sees them. */
export type Channels = "rgb" | "bgr" | "gray";

/** What is done to an image before a network sees it. */
export interface Preprocessing {
  /** Pixels of the shorter side, or of both (height first); null leaves the size. */
  readonly resize: number | readonly [height: number, width: number] | null;
  readonly interpolation: "nearest" | "linear" | "cubic" | "lanczos3";
  /** Height and width of what is cut out of the middle; null for the whole. */
  readonly crop: readonly [height: number, width: number] | null;
  /** What a pixel of 0 to 255 is multiplied with. */
  readonly scale: number;
  /** By channel, in the order that the network sees: taken off after scaling, then divided by. Of gray the first one counts. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  readonly channels: Channels;
  readonly layout: "nchw" | "nhwc";
}

/** What ImageNet classifiers of torchvision want. */
export const imageNetPreprocessing: Preprocessing = {
  resize: 256,
  interpolation: "linear",
  crop: [224, 224],
  scale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  channels: "rgb",
  layout: "nchw",
};

/** By Pillow's numbers. */
const RESAMPLING = ["nearest", "lanczos3", "linear", "cubic"] as const;

/** What becomes of an image's size. */
type Sizes = Pick<Preprocessing, "resize" | "crop">;

/** From this size on a processor with `crop_pct` crops nothing. Source: Hugging Face's `ConvNextImageProcessor`. */
const WHOLE_FROM = 384;

/**
 * Preprocessing as a `preprocessor_config.json` of Hugging Face says it.
 *
 * @param where the file
 * @param otherwise sizes where it says none
 * @throws CalibrationError naming the key
 */
export function readPreprocessing(
  config: JsonObject,
  where: string,
  otherwise: Sizes = { resize: null, crop: null },
): Preprocessing {
  const on = (key: string): boolean => config[key] !== false;
  const given = (key: string): boolean => config[key] !== undefined && config[key] !== null;
  const normalises = on("do_normalize");
  if (config["do_normalize"] === true && !(given("image_mean") && given("image_std"))) {
    return refuse("do_normalize without image_mean and image_std", where);
  }
  const resample = config["resample"];
  const interpolation = RESAMPLING[typeof resample === "number" ? resample : 2];
  if (interpolation === undefined) return refuse(`resample = ${String(resample)}`, where);
  const mean = normalises ? three(config["image_mean"], "image_mean", where, 0) : ([0, 0, 0] as const);
  const std = normalises ? three(config["image_std"], "image_std", where, 1) : ([1, 1, 1] as const);
  // EfficientNet's processor: pixels from -1 to 1, and deviations twice. Source: Hugging Face's `EfficientNetImageProcessor`.
  const offset = on("do_rescale") && config["rescale_offset"] === true ? 1 : 0;
  const isTwice = config["include_top"] === true && normalises;
  return {
    ...sizesOf(config, where, otherwise),
    interpolation,
    scale: on("do_rescale") ? number(config["rescale_factor"] ?? 1 / 255, "rescale_factor", where) : 1,
    mean: [mean[0] + offset, mean[1] + offset, mean[2] + offset],
    std: isTwice ? [std[0] ** 2, std[1] ** 2, std[2] ** 2] : std,
    channels: config["do_flip_channel_order"] === true ? "bgr" : "rgb",
    layout: "nchw",
  };
}

function sizesOf(config: JsonObject, where: string, otherwise: Sizes): Sizes {
  const { size, crop_size: cropSize, crop_pct: share } = config;
  const isResized = config["do_resize"] !== false;
  if (isResized && size === undefined && cropSize === undefined) return otherwise;
  const shortest = isJsonObject(size) && size["shortest_edge"] !== undefined;
  const side =
    typeof size === "number" || shortest ? sizeOf(shortest ? size["shortest_edge"] : size, "size", where) : null;
  if (isResized && side !== null && share !== undefined && share !== null) {
    const kept = number(share, "crop_pct", where);
    if (kept <= 0 || kept > 1) return refuse(`crop_pct = ${kept}`, where);
    if (side >= WHOLE_FROM) return { resize: [side, side], crop: null };
    return { resize: Math.trunc(side / kept), crop: [side, side] };
  }
  const crops = config["do_center_crop"] === true && cropSize !== undefined;
  return {
    resize: !isResized || size === undefined ? null : (side ?? pair(size, "size", where)),
    crop: crops ? pair(cropSize, "crop_size", where) : null,
  };
}

function pair(value: JsonValue | undefined, key: string, where: string): readonly [number, number] {
  if (typeof value === "number") return [sizeOf(value, key, where), sizeOf(value, key, where)];
  if (!isJsonObject(value) || value["height"] === undefined || value["width"] === undefined) {
    return refuse(`${key} = ${JSON.stringify(value)}`, where);
  }
  return [sizeOf(value["height"], key, where), sizeOf(value["width"], key, where)];
}

function sizeOf(value: JsonValue | undefined, key: string, where: string): number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= 65535
    ? (value as number)
    : refuse(`${key} = ${JSON.stringify(value)}`, where);
}

function number(value: JsonValue, key: string, where: string): number {
  return typeof value === "number" && Number.isFinite(value)
    ? value
    : refuse(`${key} = ${JSON.stringify(value)}`, where);
}

function three(
  value: JsonValue | undefined,
  key: string,
  where: string,
  otherwise: number,
): readonly [number, number, number] {
  if (value === undefined || value === null) return [otherwise, otherwise, otherwise];
  const list = Array.isArray(value) ? (value as readonly JsonValue[]) : [value, value, value];
  const [r, g, b] = list.map((each) => number(each, key, where));
  if (list.length !== 3 || r === undefined || g === undefined || b === undefined) {
    return refuse(`${key} = ${JSON.stringify(value)}`, where);
  }
  if (key === "image_std" && [r, g, b].includes(0)) return refuse(`${key} = ${JSON.stringify(value)}`, where);
  return [r, g, b];
}

function refuse(what: string, where: string): never {
  throw new CalibrationError({
    what: `${what}, which is no preprocessing that crossblock does`,
    where,
    next: `mend the file, or move it away and say it yourself (--set images.resize=... images.crop=... "images.mean=[r,g,b]" "images.std=[r,g,b]")`,
  });
}
