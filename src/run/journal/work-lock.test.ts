import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { EnvironmentError } from "../../errors.js";
import { lockFile, WorkLock } from "./work-lock.js";

interface Lock {
  token: string;
  pid: number;
  host: string;
  processStart: string | null;
  since: string;
}

describe("a lock", () => {
  let own: Lock;
  beforeEach(() => {
    using folder = temporaryFolder();
    using _ = WorkLock.acquire(folder.path);
    own = JSON.parse(readFileSync(join(folder.path, lockFile), "utf8")) as Lock;
  });

  /** A folder with the lock of another process, last touched so many seconds ago. */
  function locked(content: Partial<Lock> | string, age: number): { readonly path: string } & Disposable {
    const folder = temporaryFolder();
    const path = join(folder.path, lockFile);
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify({ ...own, token: "other", ...content }));
    const touched = Date.now() / 1000 - age;
    utimesSync(path, touched, touched);
    return folder;
  }

  it("keeps a second one out, by its process, and is gone when it is given back", () => {
    using folder = temporaryFolder();
    {
      using _ = WorkLock.acquire(folder.path);
      expect(() => WorkLock.acquire(folder.path)).toThrow(new RegExp(`process ${process.pid}, since .*Next: wait`));
    }
    expect(readdirSync(folder.path)).toEqual([]);
  });

  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  it.each<readonly [string, Partial<Lock> | string, number]>([
    ["a process that is gone", { pid: dead, processStart: "1" }, 0],
    ["a process whose id was used again", { processStart: "1" }, 0],
    ["another host that was silent for a minute", { host: "elsewhere" }, 60],
    ["a disk that was full", "", 60],
  ])("of %s is taken over", (_name, content, age) => {
    using folder = locked(content, age);
    {
      using _ = WorkLock.acquire(folder.path);
      expect((JSON.parse(readFileSync(join(folder.path, lockFile), "utf8")) as Lock).pid).toBe(process.pid);
    }
    expect(existsSync(join(folder.path, lockFile))).toBe(false);
  });

  it.each<readonly [string, Partial<Lock> | string, RegExp]>([
    ["another host that lives", { host: "elsewhere" }, /process \d+ on elsewhere.*half a minute/],
    ["someone who is just writing it", "{", /can't be read/],
  ])("of %s is respected", (_name, content, message) => {
    using folder = locked(content, 1);
    expect(() => WorkLock.acquire(folder.path)).toThrow(EnvironmentError);
    expect(() => WorkLock.acquire(folder.path)).toThrow(message);
    expect(readdirSync(folder.path)).toEqual([lockFile]);
  });
});
