import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../checkpoint/testing/temporary-folder.js";
import type { ExampleSource } from "./example-source.js";
import { labelsOfFolders, readLabels } from "./labels.js";

const source = (files: readonly string[], count = files.length): ExampleSource =>
  ({ kind: "images", count, files, shapes: {}, preprocessing: null, where: "d" }) as unknown as ExampleSource;

describe("classes of images", () => {
  it("are the folders that they lie in: in alphabetical order, or the numbers that these are", () => {
    expect(labelsOfFolders(source(["d/dog/1.png", "d/cat/a/2.png", "e/dog/3.png"]), ["d", "e"])).toEqual({
      from: "folders",
      classes: [1, 0, 1],
    });
    expect(labelsOfFolders(source(["d/7/1.png", "d/10/2.png"]), ["d"])?.classes).toEqual([7, 10]);
    expect(labelsOfFolders(source(["d/dog/1.png", "d/2.png"]), ["d"])).toBeNull();
    expect(labelsOfFolders(source(["1.png"]), ["1.png"])).toBeNull();
    expect(labelsOfFolders(source([], 4), ["x.npy"])).toBeNull();
  });

  it("are read from lines and JSON, by the name below the folder or the file's own, or in order", async () => {
    using folder = temporaryFolder();
    const file = (name: string, text: string): string => {
      const path = join(folder.path, name);
      writeFileSync(path, text);
      return path;
    };
    const images = source(["d/a/1.png", "d/b/1.png", "d/b/my cat.png"]);
    const lines = file("lines.txt", "a/1.png 3\nb/1.png,4\r\nmy cat.png\t5\n\n");
    expect((await readLabels(lines, images, ["d"])).classes).toEqual([3, 4, 5]);
    const json = file("l.json", '{"a/1.png": 0, "b/1.png": 1, "b/my cat.png": 2}');
    expect((await readLabels(json, images, ["d"])).classes).toEqual([0, 1, 2]);
    expect((await readLabels(file("n.txt", "2\n0\n1\n"), source([], 3), [])).classes).toEqual([2, 0, 1]);
    await expect(readLabels(file("m.txt", "a/1.png 3"), images, ["d"])).rejects.toThrow(
      /no class for d\/b\/1\.png.*add it/,
    );
    await expect(readLabels(file("o.txt", "1\n2\n"), source([], 3), [])).rejects.toThrow(/2 classes for 3 examples/);
    await expect(readLabels(file("p.txt", "a.png cat"), images, ["d"])).rejects.toThrow(
      /ends with no number.*classes counted from 0/,
    );
    await expect(readLabels(file("q.json", '{"a.png": -1}'), images, ["d"])).rejects.toThrow(
      /the class of "a\.png" is -1/,
    );
    await expect(readLabels(join(folder.path, "none"), images, ["d"])).rejects.toThrow(/can't be read/);
  });
});
