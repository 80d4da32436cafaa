import { readFile } from "node:fs/promises";
import { basename, relative, sep } from "node:path";
import { fileSystemError } from "../../../checkpoint/file-system/file-system-error.js";
import { CalibrationError } from "../../../errors.js";
import type { ExampleSource } from "./example-source.js";

/** Classes of examples, counted from 0. */
export interface Labels {
  readonly from: "folders" | "file";
  readonly classes: readonly number[];
}

/**
 * The classes that folders tell, as torchvision's ImageFolder reads them: `DIR/NAME/image.png`, the names in alphabetical order from 0.
 * Names that are whole numbers are the classes themselves. Null where images do not lie in such folders.
 *
 * @param folders that the images were found in
 */
export function labelsOfFolders({ files }: ExampleSource, folders: readonly string[]): Labels | null {
  const names = files.map((file) => {
    const parts = folders
      .map((folder) => relative(folder, file).split(sep))
      .find(([first]) => first !== ".." && first !== "");
    return parts !== undefined && parts.length > 1 ? (parts[0] ?? null) : null;
  });
  if (names.length === 0 || names.includes(null)) return null;
  const sorted = [...new Set(names)].sort();
  const numeric = sorted.every((name) => /^\d+$/.test(name ?? ""));
  return { from: "folders", classes: names.map((name) => (numeric ? Number(name) : sorted.indexOf(name))) };
}

/**
 * The classes that a file tells: JSON `{"image.png": 3}`, or lines `image.png 3` (a comma or a tab between the two), names as they
 * lie below the folder or without their folders; for prepared tensors a number a line.
 *
 * @throws CalibrationError for a file that is none, and for examples without a class
 */
export async function readLabels(file: string, source: ExampleSource, folders: readonly string[]): Promise<Labels> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw fileSystemError(error, "the labels can't be read", file);
  });
  const entries = file.endsWith(".json") ? jsonEntries(text, file) : lineEntries(text, file);
  if (entries.every(([name]) => name === "")) return inOrder(entries, source.count, file);
  const byName = new Map(entries);
  const classes = source.files.map((path) => {
    const names = [...folders.map((folder) => relative(folder, path).split(sep).join("/")), basename(path)];
    return names.map((name) => byName.get(name)).find((label) => label !== undefined) ?? null;
  });
  const missing = source.files.find((_, i) => classes[i] === null);
  if (missing === undefined && classes.length > 0) return { from: "file", classes: classes as number[] };
  throw new CalibrationError({
    where: file,
    what: missing === undefined ? "it names files, and the examples are none" : `it has no class for ${missing}`,
    next: missing === undefined ? "write a number a line, one for each example" : "add it, or take the image away",
  });
}

type Entry = readonly [name: string, label: number];

function inOrder(entries: readonly Entry[], count: number, file: string): Labels {
  if (entries.length === count) return { from: "file", classes: entries.map(([, label]) => label) };
  throw new CalibrationError({
    where: file,
    what: `${entries.length} classes for ${count} examples`,
    next: "write one for each, in their order, or with their names",
  });
}

function jsonEntries(text: string, file: string): Entry[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw unreadable(file, "it is no JSON");
  }
  if (value === null || typeof value !== "object") throw unreadable(file, "it is no object");
  const entries = Object.entries(value);
  return entries.map(([name, label]) => [Array.isArray(value) ? "" : name, whole(label, file, name)]);
}

function lineEntries(text: string, file: string): Entry[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (lines.length === 0) throw unreadable(file, "it is empty");
  return lines.map((line) => {
    const found = /^(?:(.*?)[\s,]+)?(\d+)$/.exec(line.trim());
    if (found === null) throw unreadable(file, `the line "${line.slice(0, 60)}" ends with no number`);
    return [found[1] ?? "", Number(found[2])];
  });
}

function whole(value: unknown, file: string, name: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw unreadable(file, `the class of "${name}" is ${JSON.stringify(value)?.slice(0, 40)}`);
}

function unreadable(file: string, why: string): CalibrationError {
  return new CalibrationError({
    where: file,
    what: "holds no classes of images",
    why,
    next: 'write lines like "image.png 3", or JSON like {"image.png": 3}, classes counted from 0',
  });
}
