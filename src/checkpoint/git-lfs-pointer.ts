import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";
import type { ErrorDetails } from "../errors.js";

/** Bytes of the largest pointer; git-lfs writes some 130 and never more than 1,024. */
const maxPointerLength = 1024;
const firstLine = "version https://git-lfs.github.com/spec/v1";

/**
 * What git puts in place of a large file where git-lfs is missing: a short text with the hash and size of the file.
 *
 * @param fd open for reading; its position is not used
 * @param size bytes of the file
 * @returns bytes of the file that is meant, null where this is no pointer. Source: the specification of git-lfs.
 */
export function gitLfsPointer(fd: number, size: number): number | null {
  if (size > maxPointerLength || size < firstLine.length) return null;
  const bytes = Buffer.alloc(size);
  const text = bytes.toString("utf8", 0, readSync(fd, bytes, 0, size, 0));
  if (!text.startsWith(firstLine)) return null;
  const meant = /^size (\d{1,15})$/m.exec(text)?.[1];
  return meant === undefined ? null : Number(meant);
}

/** As `gitLfsPointer`, of a path; null too where it can't be read, which its reader will say. */
export function gitLfsPointerAt(path: string): number | null {
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    const stat = fstatSync(fd);
    return stat.isFile() ? gitLfsPointer(fd, stat.size) : null;
  } catch {
    return null;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** What an error says of a pointer: `bytes` as `gitLfsPointer` gave them. */
export function gitLfsDetails(path: string, bytes: number): ErrorDetails {
  return {
    what: `a Git LFS pointer instead of the file (${decimalSize(bytes)})`,
    where: path,
    why: "the folder was cloned without git-lfs",
    next: `run \`git lfs pull\` in ${dirname(path)}, or download the file with the hub's own tool (hf download)`,
  };
}

function decimalSize(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`;
}
