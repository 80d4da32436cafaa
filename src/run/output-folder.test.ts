import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EnvironmentError, InputError } from "../errors.js";
import { folderBytes, OutputFolder, resultFile } from "./output-folder.js";

describe("OutputFolder", () => {
  let parent = "";
  let out = "";
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), "crossblock-out-"));
    out = join(parent, "result");
  });
  afterEach(() => rm(parent, { recursive: true, force: true }));

  async function write(options = { force: false }): Promise<void> {
    await using folder = await OutputFolder.create(out, options);
    await writeFile(join(folder.staging, resultFile), "{}");
    expect(await readdir(parent)).not.toEqual(["result"]);
    await folder.commit();
  }

  it("appears complete, and replaces a result of ours", async () => {
    await write();
    await writeFile(join(out, "old"), "");
    await write();
    expect(await readdir(out)).toEqual([resultFile]);
    expect(await readdir(parent)).toEqual(["result"]);
    expect(await folderBytes(parent)).toBe(2);
  });

  it("leaves nothing when it is not committed", async () => {
    {
      await using folder = await OutputFolder.create(out, { force: false });
      await writeFile(join(folder.staging, "half"), "");
    }
    expect(await readdir(parent)).toEqual([]);
  });

  it("refuses a folder that is not ours unless forced, takes an empty one", async () => {
    await mkdir(out);
    await write();
    await rm(join(out, resultFile));
    await writeFile(join(out, "thesis.txt"), "years of work");
    await expect(write()).rejects.toThrow(InputError);
    await expect(write()).rejects.toThrow(/thesis\.txt.*Next: .*--force/);
    expect(await readFile(join(out, "thesis.txt"), "utf8")).toBe("years of work");
    await write({ force: true });
    expect(await readdir(out)).toEqual([resultFile]);
  });

  it("refuses a file, and a parent that is a file", async () => {
    await writeFile(out, "");
    await expect(write({ force: true })).rejects.toThrow(/is a file, or.*Next: choose another --out/);
    await expect(OutputFolder.create(join(out, "below"), { force: false })).rejects.toThrow(/Next: /);
  });

  it("says that a parent can't be written", async () => {
    await writeFile(join(parent, "file"), "");
    await using folder = await OutputFolder.create(out, { force: false });
    await rm(folder.staging, { recursive: true });
    const error: unknown = await folder.commit().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EnvironmentError);
    expect(error).toMatchObject({ where: out, exitCode: 1, next: expect.stringContaining("--out") as string });
  });

  it("removes what a killed run left behind, and nothing of a running one", async () => {
    await mkdir(join(parent, ".result.crossblock-999999999-abc"));
    await mkdir(join(parent, `.result.crossblock-${process.pid}-abc`));
    await write();
    expect((await readdir(parent)).sort()).toEqual([`.result.crossblock-${process.pid}-abc`, "result"]);
  });
});
