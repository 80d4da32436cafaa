import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileSystemError, isNotFound } from "../../checkpoint/file-system/file-system-error.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { hubStorage } from "../../checkpoint/hub/hub.js";
import { hubNameOf, withRevision } from "../../checkpoint/hub/hub-name.js";
import { InputError } from "../../errors.js";
import { recordFile } from "../../format/written-files.js";
import { WorkDirectory } from "../journal/work-directory.js";
import { textPaths } from "../options/calibration-option.js";
import type { GivenOptions } from "../options/options.js";
import { checkWritable } from "../result/check-writable.js";
import { assertOwnPlace, commonGuards, type Guarded } from "../result/guarded-folders.js";

/**
 * Refuses places for the result and the work folder that are, hold or lie in what the run reads; `--force` changes
 * nothing about that.
 *
 * @throws InputError
 */
export async function checkGuarded(options: GivenOptions): Promise<void> {
  const { out, model } = options;
  withRevision(model, options.revision);
  const named = hubNameOf(model);
  const work = WorkDirectory.pathOf(options);
  const read: readonly Guarded[] = [
    { path: named === null ? model : hubStorage(named), name: "the model that is quantized", below: true },
    ...(await Promise.all(
      textPaths(options).map(async (path) => ({ path, name: "the calibration text", below: await isFolder(path) })),
    )),
    ...commonGuards(),
  ];
  await assertOwnPlace({ path: out, option: "--out" }, [...read, { path: work, name: "the work folder", below: true }]);
  await assertOwnPlace({ path: work, option: "--work" }, [...read, { path: out, name: "the result", below: true }]);
}

/**
 * Refuses a folder for the result that could not be put in place in the end, or that holds something and is not to be
 * replaced.
 *
 * @throws InputError; EnvironmentError where it can't be written
 */
export async function checkTarget(out: string, { force }: { readonly force: boolean }): Promise<void> {
  const target = resolve(out);
  let entries: string[] = [];
  try {
    entries = await readdir(target);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR") {
      throw new InputError({
        where: target,
        what: "is a file, or lies below one; the result needs a folder",
        next: "choose another --out",
      });
    }
    if (!isNotFound(error)) throw fileSystemError(error, "the result's folder can't be read", target);
  }
  if (await isMountPoint(target)) {
    throw new InputError({
      where: target,
      what: "is a mount point, which can't be replaced by a finished folder",
      next: `choose a folder in it: --out ${shellWord(join(target, "result"))}`,
    });
  }
  if (entries.length > 0 && !force) {
    throw new InputError({
      where: target,
      what: "the folder exists and crossblock did not write it",
      why: `it holds ${entries[0] ?? "files"} and no ${recordFile}`,
      next: "choose another --out, or give --force, which moves what is there to OUT.old-DATE",
    });
  }
  await checkWritable(target, "the result's folder can't be written");
  await checkWritable(dirname(target), "the result's folder can't be written");
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() === true;
}

/** Whether a folder is where another file system, or another folder, was mounted: those can't be renamed. */
async function isMountPoint(target: string): Promise<boolean> {
  try {
    const real = await realpath(target);
    if ((await stat(real)).dev !== (await stat(dirname(real))).dev) return true;
    // A folder mounted from the same disk is on the same device; Linux lists it.
    const mounts = await readFile("/proc/self/mountinfo", "utf8");
    const unescaped = (path: string): string =>
      path.replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
    return mounts.split("\n").some((line) => unescaped(line.split(" ")[4] ?? "") === real);
  } catch {
    return false;
  }
}
