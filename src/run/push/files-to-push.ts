import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { InputError } from "../../errors.js";
import { type FormatName, formatNames } from "../../format/exporters.js";
import { sealed } from "../../format/seal.js";
import {
  type CopiedFiles,
  cardFile,
  configFile,
  hasOwnCard,
  recordFile,
  reportFile,
} from "../../format/written-files.js";
import { factsOfResult } from "../card/card-facts.js";
import { modelCard } from "../card/model-card.js";
import { graphFile, graphFormat } from "../options/graph/is-graph.js";
import { resultContents } from "../result/result-contents.js";
import { copiedFilesOf, recordedPrimary } from "../result/result-file.js";

/** A file of a result on its way to the hub. */
export interface FileToPush {
  /** Its name in the repository, and below the result. */
  readonly path: string;
  readonly bytes: number;
  /** Its content where that is not the file's own: a card that names the repository. */
  readonly text: string | null;
}

/** What of a folder is the result, by the names that a result has; edited cards and settings are its owner's wish. */
export interface PushedFiles {
  readonly files: readonly FileToPush[];
  readonly leftOut: readonly string[];
}

/**
 * The files of a result, and what in its folder is none.
 *
 * @throws InputError for a folder that is no result, or lacks a file of one
 */
export async function filesToPush(result: string, repository: string): Promise<PushedFiles> {
  const { copied, primary } = await recordOf(result);
  const main = primary === graphFormat ? graphFile : configFile;
  const missing = [main, ...copied.keys()].find((name) => !existsSync(join(result, name)));
  if (missing !== undefined) {
    throw new InputError({
      where: result,
      what: "the result is not whole",
      why: `its ${missing} is gone`,
      next: `restore that file, or make the result again (${recordFile} has its options)`,
    });
  }
  const { own, foreign } = await resultContents(result);
  const known = (path: string): boolean => !path.endsWith("/") && isOfResult(path, copied);
  const paths = [...own, ...foreign.filter(known)].filter((path) => !path.split("/").at(-1)?.startsWith("."));
  const card = await cardFor(result, repository);
  const files: FileToPush[] = [];
  for (const path of paths.sort()) {
    const text = path === cardFile ? card : null;
    const bytes = text === null ? (await stat(join(result, path))).size : Buffer.byteLength(text);
    files.push({ path, bytes, text });
  }
  const pushed = new Set(paths);
  return { files, leftOut: [...own, ...foreign].filter((path) => !pushed.has(path)) };
}

async function recordOf(result: string): Promise<{ readonly copied: CopiedFiles; readonly primary: FormatName }> {
  let text: string;
  try {
    text = await readFile(join(result, recordFile), "utf8");
  } catch (cause) {
    if (existsSync(result) && existsSync(join(result, recordFile))) {
      throw fileSystemError(cause, "the result can't be read", join(result, recordFile));
    }
    const unfinished = existsSync(`${result}.work`);
    throw new InputError({
      where: result,
      what: "is no finished result of crossblock",
      why: unfinished ? `its run is not done: ${result}.work is there` : `there is no ${recordFile}`,
      next: unfinished
        ? "run the same quantize command again, which continues"
        : "give the folder that `crossblock quantize` wrote",
      cause,
    });
  }
  try {
    const record: unknown = JSON.parse(text);
    return { copied: copiedFilesOf(record), primary: recordedPrimary(record) };
  } catch (cause) {
    throw new InputError({
      where: join(result, recordFile),
      what: "is not what crossblock wrote",
      next: `look at the result: crossblock verify ${shellWord(result)}`,
      cause,
    });
  }
}

/** Whether a result has files of this name, whatever is in it now. */
function isOfResult(path: string, copied: CopiedFiles): boolean {
  if (path === reportFile) return true;
  const format = formatNames.find((name) => path.startsWith(`${name}/`));
  const name = format === undefined ? path : path.slice(format.length + 1);
  return name === cardFile || copied.has(name);
}

/** Our own card with the repository's name in its snippets; null where its owner has written another. */
async function cardFor(result: string, repository: string): Promise<string | null> {
  if (!(await hasOwnCard(result))) return null;
  const facts = await factsOfResult(result, repository);
  return facts === null ? null : sealed(modelCard(facts));
}
