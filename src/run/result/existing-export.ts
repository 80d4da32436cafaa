import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { CrossblockError, InputError } from "../../errors.js";
import type { ExportOptions } from "../../format/contract/export-options.js";
import type { ExportSource } from "../../format/contract/export-source.js";
import { exporters, type FormatName } from "../../format/exporters.js";
import { type CopiedFiles, isCopy } from "../../format/written-files.js";

const next = "choose another --out, or give --force to replace it";

/** An export that is asked for, and what it must be equal to. */
export interface AskedExport {
  readonly format: FormatName;
  readonly path: string;
  readonly result: ExportSource;
  readonly options: ExportOptions;
  /** What a folder has beside its weights. */
  readonly copied: CopiedFiles;
  /** Told of every tensor that was compared; throws to stop. */
  readonly onTensor: (done: number, total: number) => void;
}

/**
 * Whether this export is there already: made with the same options, every tensor the result's, every file beside them there.
 *
 * @returns false where nothing is
 * @throws InputError for anything else at its place
 */
export async function isExported(asked: AskedExport): Promise<boolean> {
  const { format, path } = asked;
  if (await isFree(path)) return false;
  const refuse = (what: string, why?: string): InputError =>
    new InputError({ where: path, what, ...(why !== undefined && { why }), next });
  const { find, open, kind } = exporters[format];
  try {
    const found = await find(path);
    if (found === null) throw refuse(`exists already, and is no ${format} export`);
    using opened = await open(found);
    if (!opened.madeWith(asked.options)) throw refuse(`a ${format} export with other options exists already`);
    const wrong = await firstDifference(opened.check(asked.result), opened.tensorCount, asked.onTensor);
    if (wrong !== null) throw refuse(`another ${format} export exists already, or a damaged one`, wrong);
    for (const name of kind === "folder" ? asked.copied.keys() : []) {
      if (await isCopy(path, name, asked.copied)) continue;
      throw refuse(`a ${format} export exists already, and it is not whole`, `its ${name} is missing or another`);
    }
    return true;
  } catch (error) {
    if (!(error instanceof CrossblockError) || error.next === next) throw error;
    throw refuse(`a ${format} export exists already, and it can't be read`, error.what);
  }
}

async function firstDifference(
  checks: ReturnType<Awaited<ReturnType<(typeof exporters)[FormatName]["open"]>>["check"]>,
  total: number,
  onTensor: AskedExport["onTensor"],
): Promise<string | null> {
  let done = 0;
  for await (const { name, status } of checks) {
    onTensor(Math.min(++done, total), total);
    if (status !== "same" && status !== "lossy") return `${name}: ${status}`;
  }
  return null;
}

async function isFree(path: string): Promise<boolean> {
  const found = await lstat(join(path)).catch(() => null);
  return found === null || (found.isDirectory() && (await readdir(path)).length === 0);
}
