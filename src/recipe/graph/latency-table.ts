import { readFileSync } from "node:fs";
import { expandHome } from "../../checkpoint/file-system/expand-home.js";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { systemPath } from "../../checkpoint/file-system/system-path.js";
import { OptionError } from "../../errors.js";
import type { BitItem } from "../allocation/bit-items.js";

/** What layers take at some bits, in any unit: by module, then by bits. */
export type LatencyTable = Readonly<Record<string, Readonly<Record<string, number>>>>;

type Item = Pick<BitItem, "modules" | "widths">;

/**
 * Reads a table from a JSON file, `{"conv1": {"4": 1.2, "8": 2.1}}`.
 *
 * @throws OptionError for a file that is none; FileSystemError where it can't be read
 */
export function readLatencyTable(path: string): LatencyTable {
  const file = systemPath(expandHome(path));
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw fileSystemError(error, "the latency table can't be read", file);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw noTable(file, "it is no JSON");
  }
  if (!isRecord(value)) throw noTable(file, "it is no object");
  for (const [module, times] of Object.entries(value)) {
    if (!isRecord(times)) throw noTable(file, `"${module}" is no object of times by bits`);
    const wrong = Object.entries(times).find(
      ([bits, time]) => !/^[2-8]$/.test(bits) || typeof time !== "number" || !Number.isFinite(time) || time < 0,
    );
    if (wrong !== undefined) throw noTable(file, `"${module}" has ${JSON.stringify(wrong[1])} for ${wrong[0]} bits`);
  }
  return value as LatencyTable;
}

/**
 * The layers that get bits, with those widths alone that the table has. Of layers with one width nothing needs to be known: they
 * take the same whatever others get.
 *
 * @throws OptionError where the table lacks a layer, or has none of its widths
 */
export function timedItems<I extends Item>(items: readonly I[], table: LatencyTable): readonly I[] {
  return items.map((item) => {
    if (item.widths.length < 2) return item;
    const widths = item.widths.filter((bits) => item.modules.every((module) => timeOf(table, module, bits) !== null));
    if (widths.length > 0) return { ...item, widths };
    const missing = item.modules.find((module) => item.widths.every((bits) => timeOf(table, module, bits) === null));
    const example = item.widths.map((bits) => `"${bits}": TIME`).join(", ");
    throw new OptionError({
      where: `latency table, "${missing ?? item.modules[0]}"`,
      what: `has no time at ${item.widths.join(", ")} bits`,
      why: "these are the bits that it may get; layers that read the same need times at the same ones",
      next: `add "${missing ?? item.modules[0]}": {${example}}; crossblock inspect MODEL names all layers`,
    });
  });
}

/** What all of these layers take with `bits` bits each; between two widths of the table in proportion. */
export function uniformLatency(items: readonly Item[], table: LatencyTable, bits: number): number {
  return items.reduce(
    (sum, { modules, widths }) => sum + modules.reduce((own, module) => own + between(table, module, widths, bits), 0),
    0,
  );
}

/** What a layer takes; 0 where the table does not say, as of a layer whose bits are given. */
export function latencyOf(table: LatencyTable, module: string, bits: number): number {
  return timeOf(table, module, bits) ?? 0;
}

function between(table: LatencyTable, module: string, widths: readonly number[], bits: number): number {
  const sorted = [...widths].sort((a, b) => a - b);
  const [least = bits, most = bits] = [sorted[0], sorted.at(-1)];
  const below = sorted.findLast((width) => width <= bits) ?? least;
  const above = sorted.find((width) => width >= bits) ?? most;
  const [from, to] = [latencyOf(table, module, below), latencyOf(table, module, above)];
  // Fewer bits than there are take nothing less: the budget is refused.
  if (bits < least) return (from * bits) / least;
  return above === below ? from : from + ((to - from) * (bits - below)) / (above - below);
}

function timeOf(table: LatencyTable, module: string, bits: number): number | null {
  return Object.hasOwn(table, module) ? (table[module]?.[bits] ?? null) : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function noTable(file: string, why: string): OptionError {
  return new OptionError({
    where: file,
    what: "is no table of what layers take",
    why,
    next: 'write {"LAYER": {"4": TIME, "8": TIME}} for every layer, times in any one unit, bits from 2 to 8',
  });
}
