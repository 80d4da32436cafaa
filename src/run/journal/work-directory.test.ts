import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryName } from "../../checkpoint/file-system/write-file-atomically.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { InputError } from "../../errors.js";
import { WorkDirectory } from "./work-directory.js";

const open = (path: string): Promise<WorkDirectory> => WorkDirectory.open({ work: path, out: "unused", fresh: false });

describe("WorkDirectory", () => {
  it("is refused where a hidden file of somebody else lies in it, which stays", async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, ".notes.tmp"), "notes");
    await expect(open(folder.path)).rejects.toThrow(InputError);
    expect(readdirSync(folder.path)).toEqual([".notes.tmp"]);
  });

  it("takes what a killed process was writing away, and leaves an empty folder that was given", async () => {
    using folder = temporaryFolder();
    const [given, left] = [join(folder.path, "given"), join(folder.path, "left")];
    for (const path of [given, left]) mkdirSync(path);
    writeFileSync(temporaryName(join(left, "plan.json")), "{");
    for (const path of [given, left]) (await open(path))[Symbol.dispose]();
    expect(readdirSync(folder.path)).toEqual(["given"]);
    expect(readdirSync(given)).toEqual([]);
  });

  it("stays while it holds text that the model made up", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "work");
    const work = await open(path);
    const file = `generated-${"0".repeat(64)}.ids`;
    writeFileSync(join(path, file), "");
    work[Symbol.dispose]();
    expect(readdirSync(path)).toEqual([file]);
  });
});
