import { OptionError } from "../../errors.js";
import type { BitItem } from "../allocation/bit-items.js";
import type { Brecq } from "../options/own/brecq.js";
import type { BitBudget } from "./genetic-allocation.js";
import { readLatencyTable, timedItems, uniformLatency } from "./latency-table.js";

/**
 * The budget that a mean of `bits` stands for: of all weights, of all multiply-adds, or by the table of `brecq.latency` what the
 * layers take when each has so many.
 *
 * @throws OptionError for a table that does not fit the layers, or a budget below the fewest bits that it has
 */
export function bitBudget(
  items: readonly Pick<BitItem, "modules" | "widths">[],
  bits: number,
  { bitsBy: by, latency }: Pick<Brecq, "bitsBy" | "latency">,
): BitBudget {
  if (by === "size" || latency === null) return { by, most: bits };
  const table = readLatencyTable(latency);
  const timed = timedItems(items, table);
  const most = uniformLatency(timed, table, bits);
  const fewest = timed.map(({ widths, ...item }) => ({ ...item, widths: [Math.min(...widths)] }));
  const least = uniformLatency(fewest, table, 8);
  if (least > most * (1 + 1e-12)) {
    const enough = Math.max(...fewest.flatMap(({ widths }, i) => (items[i]?.widths.length === 1 ? [] : widths)));
    throw new OptionError({
      where: 'option "bitsBudget"',
      what: `by the latency table the fewest bits take ${least}, and ${bits} bits everywhere ${most}`,
      next: `use --bits-budget ${enough}, or add times at fewer bits to ${latency}`,
    });
  }
  return { by, most, table };
}
