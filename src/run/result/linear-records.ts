import { quantizedBits } from "../../format/bits/bits-per-weight.js";
import type { PackedWeight } from "../../format/bits/packed-rows.js";
import { unpackedWeight } from "../../format/bits/packed-rows.js";
import { histogramOf, rangeOf } from "../../format/source/inspect-source.js";
import type { UnitPlan } from "../../network/index.js";
import type { LayerError } from "../events/events.js";
import type { LinearRecord } from "./result-details.js";

/** Rows of a Linear whose codes are counted. */
const ROWS = 64;
/** Bars of a histogram. */
const BARS = 64;

/** What is recorded of each quantized Linear, in the order of the network. */
export interface LinearsToRecord {
  readonly units: readonly UnitPlan[];
  /** Whether a module is quantized. */
  readonly has: (module: string) => boolean;
  readonly read: (module: string) => PackedWeight;
  /** Measured errors; the last one of a Linear counts. */
  readonly errors: readonly LayerError[];
  /** Called before every Linear; throws to stop. */
  readonly poll: () => void;
}

export function linearRecords({ units, has, read, errors, poll }: LinearsToRecord): LinearRecord[] {
  const measured = new Map(errors.map((each) => [each.name, each]));
  return units.flatMap((unit) =>
    unit.layers
      .map(({ name, module }, i) => ({ module, role: name === module ? String(i + 1) : name }))
      .filter(({ module }) => has(module))
      .map(({ role, module }): LinearRecord => {
        poll();
        const weight = read(module);
        const { rows, columns, bits, groupSize, scales } = weight;
        const { relativeError: error, tokens } = measured.get(module) ?? {};
        const known = error !== undefined && Number.isFinite(error);
        return {
          name: module,
          block: unit.index,
          role,
          rows,
          columns,
          bits,
          groupSize,
          bytes: Math.ceil(quantizedBits(weight) / 8),
          relativeError: known ? error : null,
          errorOf: known ? "output" : null,
          ...(tokens !== undefined && { tokens: [...tokens] }),
          codes: codeCounts(weight),
          scales: [...(rangeOf(scales) ?? [0, 0])] as [number, number],
        };
      }),
  );
}

// Of rows at equal distances.
function codeCounts(weight: PackedWeight): number[] {
  const { rows, words, bits } = weight;
  const taken = Math.min(rows, ROWS);
  const width = words.byteLength / rows;
  const sample = new Uint8Array(taken * width);
  for (let i = 0; i < taken; i++) {
    const row = Math.floor((i * rows) / taken);
    sample.set(words.subarray(row * width, (row + 1) * width), i * width);
  }
  const { codes } = unpackedWeight({ ...weight, rows: taken, words: sample });
  const counts = histogramOf(codes, 0, 2 ** bits);
  const perBar = Math.max(1, counts.length / BARS);
  return Array.from({ length: counts.length / perBar }, (_, i) =>
    counts.slice(i * perBar, (i + 1) * perBar).reduce((sum, count) => sum + count, 0),
  );
}
