import type { Dirent } from "node:fs";
import { readdir, readFile, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { exporters, type FormatName, formatNames, primaryFormat } from "../../format/exporters.js";
import {
  type CopiedFiles,
  certificateFile,
  certificatePageFile,
  hasOwnReport,
  isTemporaryFile,
  recordFile,
  reportFile,
  trainedFolder,
} from "../../format/written-files.js";
import { copiedFilesOf, recordedPrimary } from "./result-file.js";

/** What lies in a folder; paths relative to it, with `/`. */
export interface FolderContents {
  /** Files that crossblock wrote, and no one changed the size of since. */
  readonly own: readonly string[];
  /** Everything else. */
  readonly foreign: readonly string[];
}

const besideWeights: ReadonlySet<string> = new Set([recordFile, certificateFile, certificatePageFile]);

/**
 * What in a folder belongs to the result in it: the files that its writers write, those that they copied, and its exports.
 * Without a `crossblock.json` that can be read there is no result, and all of it is someone else's.
 */
export async function resultContents(folder: string): Promise<FolderContents> {
  let copied: CopiedFiles;
  let primary: FormatName;
  try {
    const record: unknown = JSON.parse(await readFile(join(folder, recordFile), "utf8"));
    copied = copiedFilesOf(record);
    primary = recordedPrimary(record);
  } catch {
    return { own: [], foreign: await filesBelow(folder) };
  }
  return sorted(folder, (path) => {
    if (besideWeights.has(path)) return true;
    if (path === reportFile) return hasOwnReport(folder);
    if (path.startsWith(`${trainedFolder}/`)) {
      return exporters[primaryFormat].owns(join(folder, trainedFolder), path.slice(trainedFolder.length + 1), copied);
    }
    const format = formatNames.find((name) => name !== primary && path.startsWith(`${name}/`));
    if (format === undefined) return exporters[primary].owns(folder, path, copied);
    return exporters[format].owns(join(folder, format), path.slice(format.length + 1), copied);
  });
}

/** The same of a folder that holds one export. */
export async function exportContents(folder: string, format: FormatName, copied: CopiedFiles): Promise<FolderContents> {
  return sorted(folder, (path) => exporters[format].owns(folder, path, copied));
}

/** Removes files of a folder, folders that are empty then, and the folder itself if nothing is left in it. */
export async function removeFiles(folder: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(join(folder, path), { force: true });
  const parents = new Set(paths.flatMap((path) => ancestors(path)));
  const deepestFirst = [...parents].sort((a, b) => b.length - a.length);
  // One that is not empty holds files of someone else.
  for (const parent of [...deepestFirst, "."]) await rmdir(join(folder, parent)).catch(() => {});
}

function ancestors(path: string): string[] {
  const parent = dirname(path);
  return parent === "." ? [] : [parent, ...ancestors(parent)];
}

async function sorted(folder: string, isOwn: (path: string) => Promise<boolean> | boolean): Promise<FolderContents> {
  const [own, foreign]: [string[], string[]] = [[], []];
  for (const path of await filesBelow(folder)) {
    const mine = !path.endsWith("/") && (isTemporaryFile(path.split("/").at(-1) ?? "") || (await isOwn(path)));
    (mine ? own : foreign).push(path);
  }
  return { own, foreign };
}

/** All files; links, empty folders and what else is no regular file with `/` after the name, for none is ever ours. */
export async function filesBelow(folder: string, prefix = ""): Promise<string[]> {
  const entries: Dirent[] = await readdir(join(folder, prefix), { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    const path = `${prefix}${entry.name}`;
    const below = entry.isDirectory() ? await filesBelow(folder, `${path}/`) : [];
    if (below.length > 0) found.push(...below);
    else found.push(entry.isFile() ? path : `${path}/`);
  }
  return found;
}
