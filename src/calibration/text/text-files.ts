import { constants } from "node:fs";
import { access, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { gitLfsDetails, gitLfsPointerAt } from "../../checkpoint/git-lfs-pointer.js";
import { CalibrationError } from "../../errors.js";

/** The kinds of file that hold documents, by extension. */
export const textFileKinds = [".txt", ".jsonl", ".json", ".parquet"] as const;
export type TextFileKind = (typeof textFileKinds)[number];

/** How a text file may be packed, by its last extension. */
const packings = [".gz", ".zst"] as const;
export type Packing = (typeof packings)[number];

export interface TextFile {
  readonly path: string;
  readonly kind: TextFileKind;
  /** null where the file is not packed. Parquet packs by itself. */
  readonly packing: Packing | null;
  /** Bytes on disk. */
  readonly size: number;
}

/**
 * The text files that `paths` name: a file stands for itself, a folder for all text files below it, sorted by name,
 * `.json` left out: folders hold those for many other reasons.
 * Names that start with a dot are left out, and links to folders are not followed, so that a walk always ends.
 *
 * @throws CalibrationError for no path, a path that can't be read, a file of another kind, what is no regular file, a folder without text,
 * and a Git LFS pointer.
 */
export async function findTextFiles(paths: readonly string[]): Promise<TextFile[]> {
  if (paths.length === 0) {
    throw new CalibrationError({ what: "no text was given", next: `name ${kindNames} files, or folders of them` });
  }
  const found: TextFile[] = [];
  // Not push(...): its arguments lie on the stack, which a folder of 200,000 files overflows.
  for (const path of paths) for (const file of await filesAt(path)) found.push(file);
  for (const { path } of found) refuseGitLfsPointer(path);
  return found;
}

/** @throws CalibrationError for a Git LFS pointer in place of text */
export function refuseGitLfsPointer(path: string): void {
  const meant = gitLfsPointerAt(path);
  if (meant !== null) throw new CalibrationError(gitLfsDetails(path, meant));
}

/** The typed form of a file system error. */
export function unreadable(path: string, cause: unknown): CalibrationError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const [what, next] = reasons[code] ?? ["can't be read", "check the file and its disk, then run the same again"];
  const why = code in reasons || !(cause instanceof Error) ? undefined : cause.message;
  return new CalibrationError({ what, where: path, ...(why !== undefined && { why }), next, cause });
}

const kindNames = ".txt, .jsonl or .parquet";

const reasons: Readonly<Record<string, readonly [what: string, next: string]>> = {
  ENOENT: ["there is no such file or folder", "check the path"],
  ENOTDIR: ["there is no such file or folder", "check the path"],
  EACCES: ["reading is not permitted", "change the permissions, or run as a user who may read it"],
  EPERM: ["reading is not permitted", "change the permissions, or run as a user who may read it"],
};

function kindOf(path: string): Pick<TextFile, "kind" | "packing"> | undefined {
  const name = basename(path).toLowerCase();
  const packing = packings.find((extension) => name.endsWith(extension)) ?? null;
  const inner = packing === null ? name : name.slice(0, -packing.length);
  // A name that is nothing but an extension has none.
  const kind = textFileKinds.find((extension) => inner.endsWith(extension) && inner !== extension);
  return kind === undefined || (kind === ".parquet" && packing !== null) ? undefined : { kind, packing };
}

async function filesAt(path: string): Promise<TextFile[]> {
  const status = await attempt(path, () => stat(path));
  if (status.isDirectory()) {
    const files = await filesBelow(path);
    if (files.length > 0) return files;
    throw new CalibrationError({
      what: `no ${kindNames} file in this folder`,
      where: path,
      next: "name a folder that holds text, or the files themselves",
    });
  }
  // Reading a pipe waits for a writer, and text is read more than once.
  if (!status.isFile()) {
    throw new CalibrationError({
      what: "is no regular file",
      where: path,
      next: "write the text to a file, and give that",
    });
  }
  const kind = kindOf(path);
  if (kind !== undefined) return [await readable({ path, ...kind, size: status.size })];
  throw new CalibrationError({
    what: `a file of this kind can't be read as text`,
    where: path,
    next: `give ${kindNames}: rename plain text to .txt, or write {"text": ...} lines to a .jsonl file`,
  });
}

async function filesBelow(folder: string): Promise<TextFile[]> {
  const entries = await attempt(folder, () => readdir(folder, { withFileTypes: true }));
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const files: TextFile[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      for (const file of await filesBelow(path)) files.push(file);
      continue;
    }
    const kind = kindOf(path);
    if (kind === undefined || kind.kind === ".json") continue;
    const status = entry.isFile() || entry.isSymbolicLink() ? await attempt(path, () => stat(path)) : undefined;
    if (status?.isFile()) files.push(await readable({ path, ...kind, size: status.size }));
  }
  return files;
}

/** Says of a file that may not be read that it may not, before gigabytes of others were. */
async function readable(file: TextFile): Promise<TextFile> {
  await attempt(file.path, () => access(file.path, constants.R_OK));
  return file;
}

async function attempt<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
