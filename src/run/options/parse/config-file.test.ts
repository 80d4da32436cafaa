import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OptionError } from "../../../errors.js";
import { parseAssignments, readConfigFile } from "./config-file.js";

describe("parseAssignments", () => {
  it("nests keys and reads JSON values, else text", () => {
    expect(parseAssignments(["window.size=3", "window.loss.l2=token", "seed=7", "window.microBatch=null"])).toEqual({
      window: { size: 3, loss: { l2: "token" }, microBatch: null },
      seed: 7,
    });
  });

  it.each(["window.size", "=3", "window..size=1", "__proto__.x=1"])("refuses %s", (pair) => {
    expect(() => parseAssignments([pair])).toThrow(/Next: write key=value/);
  });
});

describe("readConfigFile", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "crossblock-config-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("takes comments and trailing commas", async () => {
    const file = join(folder, "ok.jsonc");
    await writeFile(file, '{ // two bits\n "scheme": "W2A16g64", /* not // a comment */ "out": "http://x", }');
    expect(await readConfigFile(file)).toEqual({ scheme: "W2A16g64", out: "http://x" });
  });

  it("names the line that is no JSON, a missing file, and a list", async () => {
    const broken = join(folder, "broken.json");
    await writeFile(broken, '{\n "scheme": "W2A16g64"\n "out": 1 }');
    await expect(readConfigFile(broken)).rejects.toThrow(/broken\.json:3: is no JSON.*Next: /);
    await expect(readConfigFile(join(folder, "none.json"))).rejects.toThrow(/Next: check the path after --config/);
    const list = join(folder, "list.json");
    await writeFile(list, "[1]");
    await expect(readConfigFile(list)).rejects.toBeInstanceOf(OptionError);
  });
});
