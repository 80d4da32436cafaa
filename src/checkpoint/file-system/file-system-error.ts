import { type CrossblockError, EnvironmentError } from "../../errors.js";

const causes: Readonly<Record<string, { readonly why: string; readonly next: string }>> = {
  ENOSPC: {
    why: "no space left on the device",
    next: "free space or choose another folder, then run the same command",
  },
  EDQUOT: { why: "disk quota exceeded", next: "free space or choose another folder, then run the same command" },
  EFBIG: { why: "the file system or a limit allows no larger file", next: "choose another folder or raise ulimit -f" },
  EACCES: { why: "permission denied", next: "check the permissions (ls -l) or choose another folder" },
  EPERM: { why: "operation not permitted", next: "check the permissions (ls -l) or choose another folder" },
  EROFS: { why: "read-only file system", next: "choose a folder on a writable file system" },
  ENOENT: { why: "the file or its folder is gone", next: "check that the path exists, then run the same command" },
  ENOTDIR: { why: "a part of the path is a file, not a folder", next: "give the path of a folder" },
  EEXIST: { why: "a file of that name is in the way", next: "move it away or choose another folder" },
  EISDIR: { why: "a folder of that name is in the way", next: "move it away or choose another folder" },
  EMFILE: { why: "too many open files", next: "raise the limit (ulimit -n 4096), then run the same command" },
  ENFILE: { why: "too many open files in the system", next: "close other programs, then run the same command" },
  EIO: { why: "input/output error", next: "check the disk (dmesg), then run the same command" },
};

/** A failed file operation as a typed error: what was tried, where, why, and what to do. */
export function fileSystemError(error: unknown, what: string, path: string): CrossblockError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const known = causes[code];
  const why = known?.why ?? (error instanceof Error ? error.message : String(error));
  const next = known?.next ?? "check the path and the disk, then run the same command";
  return new EnvironmentError({ what, where: path, why, next, cause: error });
}

export function isNotFound(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
