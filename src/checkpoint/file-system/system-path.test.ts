import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemPath } from "./system-path.js";

describe.skipIf(process.platform === "win32")("a path with .. in it", () => {
  let folder = "";
  beforeAll(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "crossblock-path-")));
    mkdirSync(join(folder, "a/b/c"), { recursive: true });
    writeFileSync(join(folder, "a/b/here"), "");
    symlinkSync(join(folder, "a/b/c"), join(folder, "link"));
    symlinkSync("c", join(folder, "a/b/short"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("leads where the system leads", () => {
    for (const path of [
      "link/../here",
      "link/../../b/here",
      "./link/./..//here",
      "a/b/short/../here",
      "a/../link/../here",
    ]) {
      const given = `${folder}/${path}`;
      expect(existsSync(given), path).toBe(true);
      expect(realpathSync(systemPath(given)), path).toBe(join(folder, "a/b/here"));
      expect(join(systemPath(given)), "nothing is left for Node to take away").toBe(systemPath(given));
    }
  });

  it("keeps its spelling where no name is before the dots, and is shortened where no link is", () => {
    for (const path of ["", ".", "..", "../../..", "../a", "./a", "a/", "/", "/a//b", "owner/name"]) {
      expect(systemPath(path)).toBe(path);
    }
    expect(systemPath("a/../b")).toBe("b");
    expect(systemPath("a/..")).toBe(".");
    expect(systemPath("../a/../b")).toBe("../b");
    expect(systemPath("/nowhere-at-all/../b/")).toBe("/b");
  });
});
