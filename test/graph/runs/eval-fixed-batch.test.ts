import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { integers, type TestGraph } from "../../../src/network/graph/testing/small-graph.js";
import { library } from "../../fixtures/in-process/library.js";
import { smallNetwork, writeImages, writeSmallNetwork } from "./small-network.js";

const { evaluateImages } = library;
const folder = temporaryFolder();
const at = (name: string): string => join(folder.path, name);
const written = (name: string, graph: TestGraph): string => {
  mkdirSync(at(name));
  return writeSmallNetwork(at(name), graph);
};
beforeAll(() => writeImages(at("images"), 12));
afterAll(() => folder[Symbol.dispose]());

const images = { range: [-1, 1], mean: 0, std: 1, resize: "none", crop: "none" } as const;
/** The network with its head behind a Reshape to this shape, for batches of one size. */
const reshaped = (batch: number, shape: readonly number[]): TestGraph => ({
  ...smallNetwork,
  nodes: [
    ...smallNetwork.nodes.slice(0, -2),
    { operator: "Reshape", inputs: ["pool", "shape"], outputs: ["flat"] },
    ...smallNetwork.nodes.slice(-1),
  ],
  constants: { ...smallNetwork.constants, shape: integers(shape) },
  inputs: { x: { shape: [batch, 3, 8, 8] } },
});

describe("eval of a network that was made for one size of batch", () => {
  it("gives it that many images at a time, and finds what the network for any size does", async () => {
    const whole = written("any", smallNetwork);
    const own = await evaluateImages(written("one", reshaped(1, [1, 8])), {
      ...{ images: at("images"), preprocessing: images, reference: whole },
    });
    expect(own).toMatchObject({ images: 12, reference: { agreement: 1 } });
    expect(own.reference?.relativeError).toBeLessThan(1e-6);
    expect(own.accuracy).toEqual(own.reference?.accuracy);
  });

  it("refuses one whose output has no row for each image", async () => {
    // Eight channels of two images, as four rows.
    const graph = {
      ...reshaped(2, [4, 4]),
      nodes: reshaped(2, [4, 4]).nodes.slice(0, -1),
      outputs: { flat: "float32" },
    } as const;
    await expect(
      evaluateImages(written("mixed", graph), { images: at("images"), preprocessing: images }),
    ).rejects.toThrow(/output "flat": is \[4, 4\] for 2 examples.*Next: export the network with the batch/);
  });
});

describe("eval beside a reference that takes other examples", () => {
  const other = (name: string, shape: readonly (number | string)[]): Promise<unknown> =>
    evaluateImages(written(`own-${name}`, smallNetwork), {
      ...{ images: at("images"), preprocessing: images },
      reference: written(name, { ...smallNetwork, inputs: { x: { shape } } }),
    });

  it("refuses it by what both take, and says where only the layout differs", async () => {
    await expect(other("nhwc", ["n", 8, 8, 3])).rejects.toThrow(
      /input "x": it takes \[8, 8, 3\], and an example is \[3, 8, 8\] \(the sizes are the same ones, in another layout\). Next: give the network that/,
    );
    await expect(other("gray", ["n", 1, 8, 8])).rejects.toThrow(/takes \[1, 8, 8\], and an example is \[3, 8, 8\]/);
    await expect(other("flat", ["n", 192])).rejects.toThrow(/takes \[192\], and an example is \[3, 8, 8\]/);
  });

  it("refuses one with another input beside it", async () => {
    const two = { ...smallNetwork, inputs: { ...smallNetwork.inputs, t: { shape: ["n"] } } };
    await expect(
      evaluateImages(written("own-two", smallNetwork), {
        ...{ images: at("images"), preprocessing: images, reference: written("two", two) },
      }),
    ).rejects.toThrow(/it has 2 inputs \(x, t\), and an example has 1/);
  });
});
