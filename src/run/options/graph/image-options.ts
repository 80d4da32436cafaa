import { z } from "zod";

const side = z.int().min(1).max(65_535);
const both = z.tuple([side, side]);
const three = z.tuple([z.number(), z.number(), z.number()]);

/** What images become before a network sees them; null takes what stands beside the model, or else what its input allows. */
export const imageOptions = z
  .strictObject({
    resize: z
      .union([side, both, z.literal("none")])
      .nullable()
      .default(null)
      .describe("pixels of the shorter side, [height, width] of both, or none"),
    crop: z
      .union([side, both, z.literal("none")])
      .nullable()
      .default(null)
      .describe("pixels that are cut out of the middle: of both sides, [height, width], or none"),
    interpolation: z
      .enum(["nearest", "linear", "cubic", "lanczos3"])
      .nullable()
      .default(null)
      .describe("how pixels are made when the size changes"),
    range: z
      .tuple([z.number(), z.number()])
      .nullable()
      .default(null)
      .describe("what black and white are before the mean is taken off: [0, 1], [-1, 1], [0, 255]"),
    mean: z
      .union([z.number(), three])
      .nullable()
      .default(null)
      .describe("taken off each channel, in the order that the network sees: one number, or three"),
    std: z
      .union([z.number().positive(), z.tuple([z.number().positive(), z.number().positive(), z.number().positive()])])
      .nullable()
      .default(null)
      .describe("what each channel is divided by then: one number, or three"),
    channels: z
      .enum(["rgb", "bgr", "gray"])
      .nullable()
      .default(null)
      .describe("order of the channels, or gray for one"),
    layout: z.enum(["nchw", "nhwc"]).nullable().default(null).describe("channels first or last; as the input has them"),
  })
  .prefault({})
  .describe("how images become inputs of an ONNX network; null takes its preprocessor_config.json, where it has one");

export type ImageOptions = z.output<typeof imageOptions>;

/** Whether any of it was chosen. */
export function choosesImages(options: ImageOptions): boolean {
  return Object.values(options).some((value) => value !== null);
}
