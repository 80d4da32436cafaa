import { mkdirSync, symlinkSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../checkpoint/testing/temporary-folder.js";
import { toldPath, withoutPaths } from "./told-paths.js";

describe("a path that a result tells", () => {
  it("says how it lies beside the result", () => {
    using folder = temporaryFolder();
    const at = (...names: string[]): string => join(folder.path, ...names);
    mkdirSync(at("results"));
    mkdirSync(at("model"));
    expect(toldPath(at("model"), at("results", "w4"))).toBe("../../model");
    expect(toldPath(at("results"), at("results"))).toBe(".");
    expect(toldPath(at("results", "w4", "gguf", "m.gguf"), at("results", "w4"))).toBe("gguf/m.gguf");
    symlinkSync(at("model"), at("link"));
    expect(toldPath(at("link"), at("results"))).toBe("../model");
    // A link in the result is a file of it.
    symlinkSync(at("model"), at("results", "blob"));
    expect(toldPath(at("results", "blob"), at("results"))).toBe("blob");
  });

  it("is a name alone where the way would tell of the machine", () => {
    expect(toldPath("/data/models/llama", "/srv/results/w4")).toBe("llama");
    expect(toldPath(join(homedir(), "..", "somebody", "llama"), join(homedir(), "w4"))).toBe("llama");
  });

  it("is taken out of every text", () => {
    using folder = temporaryFolder();
    const model = join(folder.path, "model");
    const told = withoutPaths(
      {
        where: `${model}/config.json`,
        list: [`see ${model}, or ${model}2 and ${homedir()}/x`, 7, null],
        not: `https://host${model}`,
        here: join(process.cwd(), "src"),
      },
      [{ path: model, told: "../model" }],
    );
    expect(told.where).toBe("../model/config.json");
    expect(told.list).toEqual([`see ../model, or ${model}2 and ~/x`, 7, null]);
    expect(told.not).toBe(`https://host${model}`);
    expect(told.here).toBe("./src");
    expect(basename(model)).toBe("model");
  });
});
