import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decodeImage } from "../../calibration/images/decode-image.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { encodePng } from "./png.js";
import { sampleGrid } from "./sample-grid.js";

describe("a grid of samples", () => {
  it("shows each row's images side by side, enlarged, from black to white", () => {
    const rows = [
      { images: 2, values: Float32Array.from([-1, 1, 0, 5, -9, 0.5, 0.5, 0.5]) },
      { images: 1, values: Float32Array.from([1, 1, 1, -1]) },
    ];
    const { width, height, channels, values } = sampleGrid(rows, [1, 2, 2]);
    expect([width, height, channels]).toEqual([2 + 2 * 66, 2 + 2 * 66, 1]);
    const at = (x: number, y: number): number | undefined => values[y * width + x];
    // Inside the four squares of the first image, then the first of the second, and the last of the second row's.
    expect([at(2, 2), at(40, 2), at(2, 40), at(65, 65)]).toEqual([0, 255, 128, 255]);
    expect([at(68 + 2, 2), at(40, 68 + 40), at(0, 0), at(100, 100)]).toEqual([0, 0, 255, 255]);
  });

  it("takes another range, and colours", () => {
    const { channels, values } = sampleGrid([{ images: 1, values: Float32Array.from([0, 0.5, 1]) }], [3, 1, 1], [0, 1]);
    const inside = 2 * 68 + 2;
    expect([channels, ...values.subarray(inside * 3, inside * 3 + 3)]).toEqual([3, 0, 128, 255]);
  });

  it.each([1, 3] as const)("is a PNG that others read: %i channels", async (channels) => {
    using folder = temporaryFolder();
    const [width, height] = [5, 3];
    const values = Uint8Array.from({ length: width * height * channels }, (_, i) => (i * 37) % 256);
    const file = join(folder.path, "grid.png");
    writeFileSync(file, encodePng({ width, height, channels, values }));
    const read = await decodeImage(file, { resize: null, interpolation: "cubic", crop: null });
    const expected = channels === 3 ? values : Uint8Array.from([...values].flatMap((value) => [value, value, value]));
    expect([read.width, read.height, [...read.values]]).toEqual([width, height, [...expected]]);
  });
});
