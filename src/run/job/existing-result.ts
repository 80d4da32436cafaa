import { existsSync } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { imageFiles } from "../../calibration/images/image-examples.js";
import { findTextFiles } from "../../calibration/text/text-files.js";
import { fileSystemError, isNotFound } from "../../checkpoint/file-system/file-system-error.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { isHubName } from "../../checkpoint/hub/hub-name.js";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import { isWeightFile } from "../../checkpoint/safetensors/write-safetensors.js";
import { CrossblockError, InputError } from "../../errors.js";
import { openCompressedTensors } from "../../format/compressed-tensors/read.js";
import { exportFlags, unusedOptions } from "../../format/contract/export-options.js";
import { exporters, type FormatName, primaryFormat } from "../../format/exporters.js";
import { recordFile } from "../../format/written-files.js";
import { mergeOptions, optionValue, type UntypedOptions } from "../../recipe/options/merge-options.js";
import { circumstances, optionLeaves } from "../journal/run-identity.js";
import { isSelfGenerated, textPaths } from "../options/calibration-option.js";
import { effortOptions, optionGroup } from "../options/effort/efforts.js";
import { isGraph } from "../options/graph/is-graph.js";
import { type GivenOptions, runOptionsSchema } from "../options/options.js";
import { copiedFilesOf, type MadeRecord, parseMadeRecord } from "../result/result-file.js";
import { type Origin, originOf, toldOptions } from "../result/told/told-options.js";

const ways = "choose another --out, or give --force to replace it";

/**
 * The record of a finished result at `out` that the same command made; null where no result is. Options are compared as they
 * were given (`given`, before defaults), paths by what they lead to; an effort that the device or a time chose is the same
 * wherever it is asked for.
 *
 * @throws InputError when the result there is another one, is not whole, or is older than what it was made from
 */
export async function existingResult(options: GivenOptions, given: UntypedOptions): Promise<MadeRecord | null> {
  const { out } = options;
  const text = await recordText(out);
  if (text === null) return null;
  const refuse = (what: string, why: string, next = ways): InputError =>
    new InputError({ where: out, what, why, next });
  let record: MadeRecord;
  try {
    record = parseMadeRecord(JSON.parse(text), out);
  } catch (error) {
    const why = error instanceof CrossblockError ? (error.why ?? error.what) : `${recordFile} is no JSON`;
    throw refuse(
      "something is there, and what made it can't be told",
      why,
      `${ways}; it is then moved to OUT.old-DATE`,
    );
  }
  const differences = await differencesBetween(record, asMade(record, options, given));
  if (differences.length > 0) {
    const why = `differs: ${differences.map(({ name, there, asked }) => `${name} ${there} -> ${asked}`).join("; ")}`;
    throw refuse("a finished result of other options is there", why, nextFor(differences, record.options, options));
  }
  if (options.samplesGrid !== null && !existsSync(options.samplesGrid)) {
    throw refuse(
      `a result of this command is there, and ${options.samplesGrid} is not`,
      "the picture of samples is made at the end of a run",
    );
  }
  const newer = await newerThan(record.created, options);
  if (newer !== null) throw refuse("a result of this command is there, and its source has changed since", newer);
  try {
    const [primary, ...formats] = options.format;
    if (primary !== undefined) await openPrimary(primary, out);
    const folders = formats.filter((format) => exporters[format].kind === "folder");
    for (const name of copiedFilesOf(JSON.parse(text)).keys()) {
      // One of another size was edited by its owner, which is fine; without it no reader opens the folder.
      for (const folder of [".", ...folders]) {
        if (!existsSync(join(out, folder, name))) throw refuse("", `its ${join(folder, name)} is gone`);
      }
    }
    for (const format of formats) {
      const found = await exporters[format].find(join(out, format));
      if (found === null) throw refuse("", `its ${format} export is gone`);
      (await exporters[format].open(found))[Symbol.dispose]();
    }
  } catch (error) {
    if (!(error instanceof CrossblockError)) throw error;
    throw refuse("a result of this command is there, and it is damaged", error.why ?? error.what);
  }
  return record;
}

async function recordText(out: string): Promise<string | null> {
  try {
    return await readFile(join(out, recordFile), "utf8");
  } catch (error) {
    if (isNotFound(error)) return null;
    throw fileSystemError(error, "the result there can't be read", join(out, recordFile));
  }
}

interface Difference {
  readonly name: string;
  /** As JSON; "none" for an option that one side does not have. */
  readonly there: string;
  readonly asked: string;
}

// With what the effort of the record has set and the user leaves open, where the same was asked for: a device chose it, or the
// same time.
function asMade({ effort, options: made }: MadeRecord, options: GivenOptions, given: UntypedOptions): GivenOptions {
  const same =
    options.time === null ? options.effort === null && effort?.chosen === "device" : made["time"] === options.time;
  if (!same) return options;
  const open = effortOptions(options.recipe).filter((name) => optionValue(given, name) === undefined);
  const values = open.map((name) => optionGroup(name, optionValue(made, name)));
  const merged = runOptionsSchema.safeParse(mergeOptions(options, ...values));
  return merged.success ? merged.data : options;
}

async function differencesBetween(
  { effort, options: recorded, origin }: MadeRecord,
  given: GivenOptions,
): Promise<Difference[]> {
  const asked = origin === undefined ? given : { ...given, revision: toldOptions(given).revision };
  const parsed = runOptionsSchema.safeParse(recorded);
  // What another version wrote is compared as it stands.
  const there = parsed.success ? parsed.data : recorded;
  // Values tell what an effort came to; none at all asks for the device's choice.
  const byDevice = asked.effort === null && asked.time === null && effort?.chosen !== "device";
  const without = [...circumstances.filter((name) => !(byDevice && isEffort(name))), ...unusedOptions(asked.format)];
  const [before, now] = [optionLeaves(there, without), optionLeaves(asked, without)];
  const same = origin === undefined ? isSamePlace : await sameOrigin(origin, given);
  const found: Difference[] = [];
  for (const name of new Set([...before.keys(), ...now.keys()])) {
    const [old, wanted] = [before.get(name), now.get(name)];
    if (name === "model" || name === "calibration") {
      if (await same(name, old, wanted)) continue;
    } else if (old === wanted || isSameFormat(name, old, wanted)) continue;
    found.push({ name, there: old ?? "none", asked: wanted ?? "none" });
  }
  return found;
}

function isEffort(name: string): boolean {
  return name === "effort" || name === "time";
}

type SamePlace = (name: "model" | "calibration", old: string | undefined, wanted: string | undefined) => unknown;

/** Compares places by their hashes: the record tells no paths. */
async function sameOrigin(there: Origin, options: GivenOptions): Promise<SamePlace> {
  const asked = await originOf(options, options.model);
  return (name) => isDeepStrictEqual(there[name], asked[name]);
}

/** Whether the formats that are asked for are all there. */
function isSameFormat(name: string, old: string | undefined, wanted: string | undefined): boolean {
  if (name !== "format" || old === undefined || wanted === undefined) return false;
  const [before, now] = [old, wanted].map(listOf) as [string[], string[]];
  return now.every((format) => before.includes(format));
}

function listOf(json: string): string[] {
  return [JSON.parse(json) as unknown].flat().map(String);
}

/** Whether two paths lead to one file; results of early versions record them. */
async function isSamePlace(name: string, old: string | undefined, wanted: string | undefined): Promise<boolean> {
  if (old === wanted) return true;
  if (old === undefined || wanted === undefined) return false;
  const [before, now] = [old, wanted].map(listOf) as [string[], string[]];
  if (before.length !== now.length) return false;
  // No path, though a file may be called so.
  if (name === "calibration" && [before, now].some((calibration) => isSelfGenerated({ calibration }))) return false;
  const real = (path: string): Promise<string> => realpath(path).catch(() => resolve(path));
  const paths = await Promise.all([before, now].map((list) => Promise.all(list.map(real))));
  return JSON.stringify(paths[0]) === JSON.stringify(paths[1]);
}

function nextFor(differences: readonly Difference[], recorded: unknown, options: GivenOptions): string {
  const { out, format } = options;
  const exportOnly = new Set(["format", ...exportNames]);
  if (!differences.every(({ name }) => exportOnly.has(name))) return ways;
  const there = (recorded as { format?: readonly string[] }).format ?? [];
  const missing = format.slice(1).filter((name) => !there.includes(name));
  if (missing.length === 0 || differences.length > 1) return ways;
  const flags = exportFlags(options).map((word) => ` ${word}`);
  return `add what is missing: crossblock export ${shellWord(out)} --format ${missing.join(",")}${flags.join("")}; or ${ways}`;
}

const exportNames = unusedOptions([]);

/** The first file of the model or of the text that was written after a moment; null for none. */
async function newerThan(created: string, options: GivenOptions): Promise<string | null> {
  const moment = Date.parse(created);
  if (Number.isNaN(moment)) return null;
  let sources: readonly string[];
  try {
    sources = isGraph(options) ? await graphSources(options) : await textSources(options);
  } catch {
    // A source that is gone has not changed: the result is what there is of it.
    return null;
  }
  for (const path of sources) {
    const found = await stat(path).catch(() => null);
    if (found !== null && found.mtimeMs > moment) return `${path} is newer than the result`;
  }
  return null;
}

async function textSources(options: GivenOptions): Promise<readonly string[]> {
  const { model } = options;
  const texts = textPaths(options);
  const names = isHubName(model) ? [] : ModelFolder.open(model).list();
  const read = names.filter((name) => isWeightFile(name) || name === "config.json" || name === "tokenizer.json");
  const files = texts.length > 0 ? await findTextFiles(texts) : [];
  return [...read.map((name) => join(model, name)), ...files.map(({ path }) => path)];
}

async function graphSources(options: GivenOptions): Promise<readonly string[]> {
  const { model } = options;
  const given = await Promise.all(
    textPaths(options).map(async (path) => ((await stat(path)).isDirectory() ? await imageFiles(path) : [path])),
  );
  return [model, ...given.flat()];
}

async function openPrimary(format: FormatName, out: string): Promise<void> {
  if (format === primaryFormat) {
    (await openCompressedTensors(out))[Symbol.dispose]();
    return;
  }
  const found = await exporters[format].find(out);
  if (found === null) throw new InputError({ where: out, what: `its ${format} file is gone`, next: ways });
  (await exporters[format].open(found))[Symbol.dispose]();
}
