import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../checkpoint/testing/temporary-folder.js";
import { resolveOptions } from "../../options/options.js";
import { originOf, toldOptions } from "./told-options.js";

describe("what a result tells of its options", () => {
  const given = { scheme: "W4A16", recipe: "rtn", out: "out" } as const;

  it("is a model of the hub by name and revision, however both were written", () => {
    for (const model of [{ model: "hub:owner/name@v1" }, { model: "owner/name", revision: "v1" }]) {
      expect(toldOptions(resolveOptions({ ...given, ...model }))).toMatchObject({
        model: "owner/name",
        revision: "v1",
      });
    }
  });

  it("is known again by its files, whatever leads to them, and by names that are no paths from anywhere", async () => {
    using folder = temporaryFolder();
    const at = (name: string): string => join(folder.path, name);
    mkdirSync(at("model"));
    writeFileSync(at("text.txt"), "a");
    symlinkSync(at("text.txt"), at("link.txt"));
    const of = (model: string, calibration: string[]): ReturnType<typeof originOf> =>
      originOf(resolveOptions({ ...given, recipe: "gptq", model, calibration }), model);
    const first = await of(at("model"), [at("text.txt")]);
    expect(await of(`${at("model")}/`, [at("link.txt")])).toEqual(first);
    expect((await of(at("model"), [at("other.txt")])).calibration).not.toEqual(first.calibration);
    const made = await of(at("model"), ["self-generated"]);
    const before = process.cwd();
    process.chdir(folder.path);
    expect(await of("model", ["self-generated"])).toEqual(made);
    process.chdir(before);
  });

  it("has the commit of a snapshot of the cache", async () => {
    const commit = "0123456789".repeat(4);
    const options = resolveOptions({ ...given, model: "owner/name" });
    expect((await originOf(options, `/cache/models--owner--name/snapshots/${commit}`)).commit).toBe(commit);
    expect((await originOf({ ...options, model: "./x" }, `/x/${commit}`)).commit).toBeNull();
  });
});
