import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { exporters, type FormatName, type FoundExport } from "../../format/exporters.js";
import { exportsBelow } from "../../format/exports-below.js";
import { sourceCardFile } from "../../format/written-files.js";
import { graphFile, graphFormat } from "../options/graph/is-graph.js";
import { filesBelow } from "../result/result-contents.js";
import { formatBytes } from "../result/sizes/result-sizes.js";
import { type CardRecord, readCardRecord } from "./card-record.js";
import { readSourceCard, type SourceCard } from "./source-card.js";

/** A format that a card speaks of. */
export interface CardFormat {
  readonly format: FormatName;
  /** Of the file or folder, relative to the card's own; `.` for that. */
  readonly path: string;
  /** Its weights. */
  readonly bytes: number;
}

/** What a card is written from. */
export interface CardFacts {
  readonly record: CardRecord;
  /** What the source model's card says of licence, language and task. */
  readonly source: SourceCard;
  /** Whether that card lies beside this one. */
  readonly keepsSourceCard: boolean;
  readonly formats: readonly CardFormat[];
  /** Whether the model has a template for conversations. */
  readonly chats: boolean;
  /** `owner/name` where it is, or will be, on the hub. */
  readonly repository: string | null;
}

/** The facts of a result, all exports in it among them; null where its record says too little. */
export async function factsOfResult(folder: string, repository: string | null = null): Promise<CardFacts | null> {
  const record = readCardRecord(folder);
  if (record === null) return null;
  const itself = record.primary === graphFormat ? join(folder, graphFile) : folder;
  const found = [{ format: record.primary, path: itself }, ...(await exportsBelow(folder))];
  const formats: CardFormat[] = [];
  for (const each of found) formats.push(await cardFormat(each, folder));
  return { record, ...sourceFacts(folder, folder), formats, chats: await hasTemplate(folder), repository };
}

/** The facts of one export of a result, as its own folder tells them; null where there is no such export. */
export async function factsOfExport(format: FormatName, folder: string, result: string): Promise<CardFacts | null> {
  const record = readCardRecord(result);
  if (record === null) return null;
  const paths =
    exporters[format].kind === "file" ? (await filesBelow(folder)).map((name) => join(folder, name)) : [folder];
  const formats: CardFormat[] = [];
  for (const path of paths) {
    const found = path.endsWith(sep) ? null : await exporters[format].find(path);
    if (found !== null) formats.push(await cardFormat({ format, path: found }, folder));
  }
  if (formats.length === 0) return null;
  return { record, ...sourceFacts(result, folder), formats, chats: await hasTemplate(result), repository: null };
}

function sourceFacts(result: string, folder: string): Pick<CardFacts, "source" | "keepsSourceCard"> {
  return { source: readSourceCard(result), keepsSourceCard: existsSync(join(folder, sourceCardFile)) };
}

/** The folder that holds an export, where its card lies. */
export function cardFolderOf({ format, path }: FoundExport): string {
  // A graph lies in a folder of its own below that of the model.
  if (format === "onnx") return dirname(dirname(path));
  if (format === "qdq") return dirname(path);
  return exporters[format].kind === "file" ? dirname(path) : path;
}

async function cardFormat({ format, path }: FoundExport, from: string): Promise<CardFormat> {
  const shown = format === "onnx" ? dirname(dirname(path)) : format === "qdq" ? dirname(path) : path;
  const way = relative(from, shown).split(sep).join("/");
  return { format, path: way === "" ? "." : way, bytes: await formatBytes(shown) };
}

async function hasTemplate(folder: string): Promise<boolean> {
  const read = (name: string): Promise<string | null> => readFile(join(folder, name), "utf8").catch(() => null);
  if ((await read("chat_template.jinja")) !== null || (await read("chat_template.json")) !== null) return true;
  return /"chat_template"\s*:\s*["[]/.test((await read("tokenizer_config.json")) ?? "");
}
