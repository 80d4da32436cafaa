import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EnvironmentError } from "../../errors.js";
import { sealed } from "../../format/seal.js";
import { folderBytes, keepAll, OutputFolder } from "./output-folder.js";
import { resultContents } from "./result-contents.js";

const record = JSON.stringify({ copied: { "README.md": 4 } });
/** A result as its writers leave it, all exports and the certificate with it. */
const ours = [
  ...["crossblock.json", "config.json", "model.safetensors", "README.md", "certificate.md", "certificate.json"],
  ...["gptq/config.json", "gptq/quantize_config.json", "gptq/model-00001-of-00002.safetensors"],
  ...["gptq/model.safetensors.index.json", "onnx/config.json", "onnx/README.md", "onnx/onnx/model_q4.onnx"],
  ...["onnx/onnx/model_q4.onnx_data", "onnx/onnx/model_q4.onnx_data_1", ".model.safetensors.0123456789ab.tmp"],
];
const theirs = ["notes.txt", "gguf/mine.gguf", "gptq/notes.txt", "plots/loss.png", "onnx/onnx/loader.py", "tool.py"];

describe("OutputFolder", () => {
  let parent = "";
  let out = "";
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), "crossblock-out-"));
    out = join(parent, "result");
  });
  afterEach(() => rm(parent, { recursive: true, force: true }));

  async function put(files: readonly string[], folder = out): Promise<void> {
    for (const path of files) {
      await mkdir(join(folder, dirname(path)), { recursive: true });
      await writeFile(join(folder, path), path === "crossblock.json" ? record : "text");
    }
  }

  async function replace(sort = resultContents): Promise<Awaited<ReturnType<OutputFolder["commit"]>>> {
    await using folder = await OutputFolder.create(out);
    await writeFile(join(folder.staging, "new"), "new");
    expect(await readdir(parent)).not.toEqual(["result"]);
    return await folder.commit(sort);
  }

  async function filesIn(folder: string): Promise<string[]> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => !entry.isDirectory());
    return files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
  }

  it("appears complete, where nothing or an empty folder was", async () => {
    expect(await replace()).toBeNull();
    expect(await readdir(out)).toEqual(["new"]);
    await rm(join(out, "new"));
    expect(await replace()).toBeNull();
    expect(await readdir(parent)).toEqual(["result"]);
    expect(await folderBytes(parent)).toBe(3);
  });

  it("leaves nothing when it is not committed", async () => {
    {
      await using folder = await OutputFolder.create(out);
      await writeFile(join(folder.staging, "half"), "");
    }
    expect(await readdir(parent)).toEqual([]);
  });

  it("removes an earlier result, all of it", async () => {
    await put(ours);
    expect(await replace()).toMatchObject({ movedTo: null, moved: [] });
    expect(await readdir(out)).toEqual(["new"]);
    expect(await readdir(parent)).toEqual(["result"]);
  });

  it("moves everything else out of the way, into a folder of its own each time", async () => {
    for (const suffix of ["", "-2"]) {
      await put([...ours, ...theirs]);
      await symlink("nowhere", join(out, "link"));
      const done = await replace();
      expect(done?.movedTo).toMatch(new RegExp(`result\\.old-\\d{4}-\\d\\d-\\d\\d${suffix}$`));
      expect([...(done?.removed ?? [])].sort()).toEqual([...ours].sort());
      expect(await filesIn(done?.movedTo ?? "")).toEqual([...theirs, "link"].sort());
      expect(await readdir(out)).toEqual(["new"]);
      await rm(join(out, "new"));
    }
  });

  it("keeps a copied file that was changed since", async () => {
    await put(["crossblock.json", "README.md"]);
    await writeFile(join(out, "README.md"), "a model card of my own");
    expect(await replace()).toMatchObject({ removed: ["crossblock.json"], moved: ["README.md"] });
  });

  it("keeps a report that was changed since, and removes one that was not", async () => {
    await put(["crossblock.json"]);
    const page = sealed("<!doctype html>\n<p>a report</p>");
    await writeFile(join(out, "report.html"), page);
    expect(await replace()).toMatchObject({ removed: ["crossblock.json", "report.html"], moved: [] });
    await rm(out, { recursive: true });
    await put(["crossblock.json"]);
    await writeFile(join(out, "report.html"), page.replace("a report", "my report"));
    expect(await replace()).toMatchObject({ removed: ["crossblock.json"], moved: ["report.html"] });
  });

  it("removes nothing of a folder that is no result, whatever its files are called", async () => {
    for (const text of [null, "no JSON", '{"copied": 3}']) {
      await put(ours);
      await rm(join(out, "crossblock.json"));
      if (text !== null) await writeFile(join(out, "crossblock.json"), text);
      const expected = await filesIn(out);
      const done = await replace();
      expect(done?.removed).toEqual([]);
      expect(await filesIn(done?.movedTo ?? "")).toEqual(expected);
    }
  });

  it("keeps what has appeared meanwhile where nothing was to be replaced", async () => {
    await put(ours);
    const done = await replace(keepAll);
    expect(done?.removed).toEqual([]);
    expect(await filesIn(done?.movedTo ?? "")).toEqual([...ours].sort());
  });

  it("replaces the folder behind a link, and the link stays", async () => {
    const real = join(parent, "real");
    await put(["notes.txt"], real);
    await symlink(real, out);
    await replace();
    expect(await readdir(real)).toEqual(["new"]);
    expect((await readdir(parent)).filter((name) => name.startsWith("real.old-")).length).toBe(1);
  });

  it("moves a file or a link without a target that has the name of the folder", async () => {
    for (const put of [() => writeFile(out, "a file"), () => symlink("nowhere", out)]) {
      await put();
      expect(await replace()).toMatchObject({ removed: [], moved: ["result"] });
      expect(await readdir(out)).toEqual(["new"]);
      await rm(out, { recursive: true });
    }
    expect((await readdir(parent)).filter((name) => name.startsWith("result.old-")).length).toBe(2);
  });

  it("refuses a parent that is a file", async () => {
    await writeFile(out, "");
    await expect(OutputFolder.create(join(out, "below"))).rejects.toThrow(/Next: /);
  });

  it("says that a parent can't be written", async () => {
    await using folder = await OutputFolder.create(out);
    await rm(folder.staging, { recursive: true });
    const error: unknown = await folder.commit().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EnvironmentError);
    expect(error).toMatchObject({ where: out, exitCode: 1, next: expect.stringContaining("--out") as string });
  });

  it("removes what a killed run left behind, and nothing of a running one, here or on another host", async () => {
    await mkdir(join(parent, ".result.crossblock-999999999-abc"));
    await mkdir(join(parent, ".result.crossblock-999999999-000000-abc"));
    await mkdir(join(parent, `.result.crossblock-${process.pid}-abc`));
    await replace();
    expect((await readdir(parent)).sort()).toEqual(
      [".result.crossblock-999999999-000000-abc", `.result.crossblock-${process.pid}-abc`, "result"].sort(),
    );
  });

  // Each state is one in which a process that is killed while it replaces a result leaves the disk.
  it.each(["before the old one is moved", "between the two renames", "before the old one is cleared"])(
    "has the old or the new folder whole when it is killed %s",
    async (moment) => {
      await put([...ours, "notes.txt"]);
      const ready = join(parent, ".result.crossblock-999999999-abc.ready");
      await put(["crossblock.json", "new"], ready);
      if (moment !== "before the old one is moved") await rename(out, `${out}.old-2026-01-02`);
      if (moment === "before the old one is cleared") await rename(ready, out);
      await OutputFolder.recover(out);
      const old = moment === "before the old one is moved" ? out : `${out}.old-2026-01-02`;
      expect(await filesIn(old)).toEqual([...ours, "notes.txt"].sort());
      if (old !== out) expect(await filesIn(out)).toEqual(["crossblock.json", "new"]);
      expect((await readdir(parent)).filter((name) => name.startsWith("."))).toEqual([]);
      expect(await readFile(join(out, "crossblock.json"), "utf8")).toBe(record);
    },
  );
});
