import { stat } from "node:fs/promises";
import { join } from "node:path";
import { isWeightFile } from "../checkpoint/safetensors/write-safetensors.js";
import { isSealedFile } from "./seal.js";

/** What a result is made of and how, beside its weights: the file that marks a folder as a result of crossblock. */
export const recordFile = "crossblock.json";
/** What `verify` writes beside a result. */
export const certificateFile = "certificate.json";
export const certificatePageFile = "certificate.md";
/** The card of an export, which tells how it came about; the hub shows it. */
export const cardFile = "README.md";
/** The source model's card, under the only name that leaves room for its export's own. */
export const sourceCardFile = "README.source.md";
/** The same as a page for people. */
export const reportFile = "report.html";
/** The folder below a result that holds the model as it was trained, where its recipe trains one. */
export const trainedFolder = "trained";
/** Written last into a model folder: without it no reader takes the folder for a model. */
export const configFile = "config.json";
/** The same settings for older readers of GPTQ. */
export const gptqConfigFile = "quantize_config.json";

/** Of these names a result has its own; they are never copied from the source model. */
export const ownFiles: ReadonlySet<string> = new Set([
  configFile,
  gptqConfigFile,
  "quant_config.json",
  recordFile,
  certificateFile,
  certificatePageFile,
  reportFile,
]);

/** Files that an export took over from the model's folder, by name, with their sizes in bytes. */
export type CopiedFiles = ReadonlyMap<string, number>;

/** Whether `name` in a model folder of ours is a copy as it was made: a file of another size was changed since. */
export async function isCopy(folder: string, name: string, copied: CopiedFiles): Promise<boolean> {
  const bytes = copied.get(name);
  if (bytes === undefined) return false;
  return (await stat(join(folder, name)).catch(() => null))?.size === bytes;
}

/** Whether the card in a folder is one of ours that no one changed; false where there is none. */
export async function hasOwnCard(folder: string): Promise<boolean> {
  return isSealedFile(join(folder, cardFile));
}

/** The same of the report. */
export async function hasOwnReport(folder: string): Promise<boolean> {
  return isSealedFile(join(folder, reportFile));
}

/** Whether `name` is a file that `writeModelFolder` writes. */
export async function isModelFolderFile(folder: string, name: string, copied: CopiedFiles): Promise<boolean> {
  if (name === cardFile && (await hasOwnCard(folder))) return true;
  return name === configFile || name === gptqConfigFile || isWeightFile(name) || isCopy(folder, name, copied);
}

/** Whether a name is one of those under which files wait until they are complete. */
export function isTemporaryFile(name: string): boolean {
  return /^\..+\.[0-9a-f]{12}\.tmp$/.test(name);
}
