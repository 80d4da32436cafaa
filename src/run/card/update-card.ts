import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import type { FormatName } from "../../format/exporters.js";
import { exportsBelow } from "../../format/exports-below.js";
import { sealed } from "../../format/seal.js";
import { cardFile, hasOwnCard } from "../../format/written-files.js";
import { type CardFacts, cardFolderOf, factsOfExport, factsOfResult } from "./card-facts.js";
import { modelCard } from "./model-card.js";

/** Writes the cards of a result and of the exports in it anew; one that somebody changed stays as it is. */
export async function updateCard(result: string): Promise<void> {
  await put(result, await factsOfResult(result));
  for (const found of await exportsBelow(result)) await writeExportCard(found.format, cardFolderOf(found), result);
}

/**
 * Writes the card of one export.
 *
 * @param result the folder that it was made from
 */
export async function writeExportCard(format: FormatName, folder: string, result: string): Promise<void> {
  if (resolve(folder) !== resolve(result)) await put(folder, await factsOfExport(format, folder, result));
}

async function put(folder: string, facts: CardFacts | null): Promise<void> {
  if (facts === null) return;
  const path = join(folder, cardFile);
  const isFree = (await stat(path).catch(() => null)) === null;
  if (isFree || (await hasOwnCard(folder))) await writeFileAtomically(path, sealed(modelCard(facts)));
}
