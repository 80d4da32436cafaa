import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../checkpoint/testing/temporary-folder.js";
import type { Graph } from "../../../network/index.js";
import { imageOptions } from "../../options/graph/image-options.js";
import { preprocessingFor, preprocessingText } from "./image-preprocessing.js";

const none = imageOptions.parse({});
type Shape = readonly (number | string | null)[];
const graph = (...shapes: Shape[]): Graph =>
  ({
    file: "net.onnx",
    inputs: shapes.map((shape, i) => ({ name: `x${i}`, dataType: "float32", shape })),
  }) as unknown as Graph;

describe("what images become", () => {
  it("is assumed by the input where nobody says it: layout, size, channels", () => {
    using folder = temporaryFolder();
    expect(preprocessingFor(graph(["n", 3, 112, 112]), folder.path, none)).toMatchObject({
      ...{ from: "assumed", resize: 128, crop: [112, 112], layout: "nchw", channels: "rgb" },
      mean: [0.485, 0.456, 0.406],
    });
    expect(preprocessingFor(graph(["n", 224, 224, 3]), folder.path, none)).toMatchObject({
      layout: "nhwc",
      resize: 256,
    });
    const gray = preprocessingFor(graph([null, 1, 28, 28]), folder.path, none);
    expect(gray).toMatchObject({ channels: "gray", resize: [28, 28], crop: null, mean: [0, 0, 0], std: [1, 1, 1] });
    expect(preprocessingText(gray)).toBe("resized to 28 x 28; gray from 0 to 1, less 0, divided by 1; NCHW");
  });

  it("is what the file beside the network says, and over it what options do", () => {
    using folder = temporaryFolder();
    const config = {
      do_resize: true,
      size: { shortest_edge: 40 },
      do_center_crop: true,
      crop_size: 32,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.25, 0.25, 0.25],
    };
    writeFileSync(join(folder.path, "preprocessor_config.json"), JSON.stringify(config));
    const input = graph(["n", 3, "h", "w"]);
    const stored = preprocessingFor(input, folder.path, none);
    expect(stored).toMatchObject({
      from: "preprocessor_config.json",
      resize: 40,
      crop: [32, 32],
      std: [0.25, 0.25, 0.25],
    });
    const given = imageOptions.parse({ crop: [16, 24], range: [-1, 1], mean: 0, channels: "bgr" });
    const chosen = preprocessingFor(input, folder.path, given);
    // From -1 to 1: what is taken off is taken off before that begins at -1.
    expect(chosen).toMatchObject({ from: "options", resize: 40, crop: [16, 24], mean: [1, 1, 1], channels: "bgr" });
    expect(chosen.scale).toBeCloseTo(2 / 255);
    expect(preprocessingFor(input, folder.path, none, stored).from).toBe("record");
  });

  it("is nothing for inputs that are no image, with what to give instead", () => {
    using folder = temporaryFolder();
    const of =
      (...shapes: Parameters<typeof graph>): (() => unknown) =>
      () =>
        preprocessingFor(graph(...shapes), folder.path, none);
    expect(of(["n", 12, 8, 8])).toThrow(/\[n, 12, 8, 8\], which is no image.*prepared tensors/);
    expect(of(["n", 3, 8])).toThrow(/no image/);
    expect(of(["n", 3, 8, 8], ["n"])).toThrow(/one input, and the network reads 2.*\.safetensors/);
  });

  it.each<[string, Shape, object, RegExp]>([
    ["the other layout", ["n", 3, 8, 8], { layout: "nhwc" }, /no image.*Next: leave out images\.layout=nhwc/],
    ["gray for three channels", ["n", 3, 8, 8], { channels: "gray" }, /"gray".*three channels.*Next: leave it out/],
    ["colours for one", ["n", 1, 8, 8], { channels: "bgr" }, /"bgr".*one channel.*Next: leave it out/],
    ["three means for one", ["n", 1, 8, 8], { mean: [1, 2, 3] }, /three numbers for one channel.*images\.mean=1/],
    ["black that is white", ["n", 3, 8, 8], { range: [1, 1] }, /both 1.*Next: give two numbers that differ/],
  ])("is refused where %s is asked for", (_, shape, options, message) => {
    using folder = temporaryFolder();
    expect(() => preprocessingFor(graph(shape), folder.path, imageOptions.parse(options))).toThrow(message);
  });

  it.each<[string, object, object, RegExp]>([
    [
      "the file beside the network crops another size",
      { size: { shortest_edge: 256 }, do_center_crop: true, crop_size: 224 },
      {},
      /"x0": it is 32 x 24 pixels, and images would become 224 x 224 pixels.*preprocessor_config\.json says.*Next: use --set images\.resize=37 "images\.crop=\[32,24\]"/,
    ],
    ["it crops nothing", { size: { shortest_edge: 40 } }, {}, /would become 40 pixels on the shorter side/],
    ["options do", {}, { crop: 28 }, /would become 28 x 28 pixels.*so images\.resize and images\.crop say/],
    ["options crop nothing", {}, { resize: [32, 32], crop: "none" }, /would become 32 x 32 pixels/],
  ])("is refused for an input of 32 x 24 pixels where %s", (_, config, options, message) => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "preprocessor_config.json"), JSON.stringify(config));
    const of = (given: object): unknown =>
      preprocessingFor(graph(["n", 3, 32, 24]), folder.path, imageOptions.parse(given));
    expect(() => of(options)).toThrow(message);
    // What the message asks for.
    expect(of({ resize: 37, crop: [32, 24] })).toMatchObject({ crop: [32, 24] });
  });

  it("has the size of the input where the file beside the network says no size", () => {
    using folder = temporaryFolder();
    const config = { do_resize: true, image_mean: [0.1, 0.2, 0.3], image_std: [1, 1, 2] };
    writeFileSync(join(folder.path, "preprocessor_config.json"), JSON.stringify(config));
    expect(preprocessingFor(graph(["n", 3, 28, 28]), folder.path, none)).toMatchObject({
      ...{ from: "preprocessor_config.json", resize: 32, crop: [28, 28], mean: [0.1, 0.2, 0.3], std: [1, 1, 2] },
    });
  });

  it("stays pixels for a network that reads whole numbers", () => {
    using folder = temporaryFolder();
    const whole = graph(["n", 3, 8, 8]);
    Object.assign(whole.inputs[0] ?? {}, { dataType: "uint8" });
    expect(preprocessingFor(whole, folder.path, none)).toMatchObject({ scale: 1, mean: [0, 0, 0], std: [1, 1, 1] });
    expect(() => preprocessingFor(whole, folder.path, imageOptions.parse({ mean: 127 }))).toThrow(
      /reads uint8.*Next: use --set "images\.range=\[0,255\]" images\.mean=0/,
    );
  });
});
