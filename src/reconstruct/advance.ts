import type { PortStore, Ports } from "../calibration/port-store.js";
import { noGrad, scope } from "../tensor/index.js";
import type { SequenceParts } from "./sequence-parts.js";

/**
 * Runs every sequence of `from` through `run`, which is also told the numbers of those that it gets, and stores the
 * results in `to`, which may be `from`. Afterwards `to` has the ports that `run` gives, and no others.
 */
export function advance(
  from: PortStore,
  to: PortStore,
  parts: SequenceParts,
  run: (x: Ports, part: readonly number[]) => Ports,
): void {
  let names: readonly string[] | null = null;
  noGrad(() =>
    parts.each(from.shape.sequences, (part) =>
      scope(() => {
        const ports = run(from.read(part), part);
        to.write(part[0] as number, ports);
        names = Object.keys(ports);
      }),
    ),
  );
  if (names !== null) to.retain(names);
}
