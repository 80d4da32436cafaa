import { mkdirSync, symlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.js";
import { hubNameOf, isRevision, localModel, withRevision } from "./hub-name.js";

const folder = temporaryFolder();
const before = process.cwd();
beforeAll(() => {
  mkdirSync(`${folder.path}/rtn`);
  mkdirSync(`${folder.path}/rtn/there`);
  symlinkSync("nowhere", `${folder.path}/dead`);
  process.chdir(folder.path);
});
afterAll(() => {
  process.chdir(before);
  folder[Symbol.dispose]();
});

describe("names of the hub", () => {
  it.each([
    ["owner/name", "owner/name", null],
    ["Qwen/Qwen2.5-0.5B_x", "Qwen/Qwen2.5-0.5B_x", null],
    ["owner/name@v1.0", "owner/name", "v1.0"],
    ["owner/name@refs/pr/1", "owner/name", "refs/pr/1"],
    ["hub:rtn/there", "rtn/there", null],
    ["hub:rtn/onnx@main", "rtn/onnx", "main"],
  ])("%s is one", (text, name, revision) => {
    expect(hubNameOf(text)).toEqual({ name, revision });
  });

  it.each([
    ...["./x", "./owner/name", "/x", "/owner/name", "~/x", "x", "a/b/c", "owner/", "/name", "", "hub:x", "../a/b"],
    // What is here, and what would be beside it.
    ...["rtn/there", "rtn/onnx", "rtn/onnx@v1", "dead/x"],
    // No revision may become a path.
    ...["owner/name@../../x", "owner/name@", "owner/name@a//b", "owner/name@.hidden", "-o/n", "owner/na me"],
  ])("%s is none", (text) => {
    expect(hubNameOf(text)).toBeNull();
  });

  it("take a revision that is given beside them, once", () => {
    expect(withRevision("owner/name", "v1")).toBe("owner/name@v1");
    expect(withRevision("hub:rtn/there", "v1")).toBe("hub:rtn/there@v1");
    expect(withRevision("owner/name@v1", "v1")).toBe("owner/name@v1");
    expect(withRevision("./x", null)).toBe("./x");
    expect(() => withRevision("owner/name@v1", "v2")).toThrow(/names the revision v1 already.*Next: .*owner\/name@v2/);
    expect(() => withRevision("rtn/there", "v1")).toThrow(/is a path.*Next: leave the revision out/);
    expect(() => withRevision("owner/name", "../x")).toThrow(/no name of a branch/);
  });

  it("are no folders that are missing", () => {
    expect(localModel("rtn/there").path).toBe("rtn/there");
    expect(() => localModel("rtn/onnx")).toThrow(
      /no such model folder \(the folder rtn is here, and has no onnx\).*hub:rtn\/onnx/,
    );
    expect(() => localModel("./x")).toThrow(/no such model folder\. Next: check the path/);
  });

  it("know revisions that could leave their folder", () => {
    for (const text of ["main", "v1.2", "refs/pr/3", "a+b"]) expect(isRevision(text), text).toBe(true);
    for (const text of ["..", "a/../b", "/a", "a/", "a\\b", "a b", "a..b", ".git"])
      expect(isRevision(text), text).toBe(false);
  });
});
