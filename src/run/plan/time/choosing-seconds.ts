import { searchRange } from "../../../quant/grid/range.js";
import { SecondMoments } from "../../../quant/second-moments.js";
import { gptq } from "../../../quant/solver/gptq.js";
import { candidatesOf } from "../../../recipe/options/shared/range.js";
import { noGrad, scope, Tensor } from "../../../tensor/index.js";
import type { SpeedInput } from "./measure-speed.js";
import { timed } from "./timed.js";

/** Seconds of a weight, and on a device of a column whatever its rows: by GPTQ, or by a search of ranges alone. */
export function secondsOfChoosing(
  columns: number,
  byColumns: boolean,
  { options, scheme, device }: Pick<SpeedInput, "options" | "scheme" | "device">,
): { readonly weight: number; readonly column: number } {
  const candidates = candidatesOf(options.range);
  return noGrad(() =>
    scope(() => {
      using moments = disposing(new SecondMoments(columns, device));
      moments.it.add(Tensor.randn([1, 2 * columns, columns], { device }));
      const seconds = (rows: number): number => {
        const weight = Tensor.randn([rows, columns], { device }).mul(0.02);
        return timed(device, () =>
          scope(() => {
            if (byColumns) gptq(weight, moments.it, scheme, "", { ...options.gptq, candidates });
            else searchRange(weight, scheme, "", { candidates });
          }),
        );
      };
      // A device's kernels are compiled at first use.
      seconds(16);
      // The least of three, on a CPU where they are short: on a device that others share, a single one has been a hundred times too long.
      const least = (rows: number): number => {
        const times: number[] = [];
        do times.push(seconds(rows));
        while (times.length < 3 && (device !== "cpu" || Math.max(...times) < SHORT));
        return Math.min(...times);
      };
      const few = least(CHOOSING_ROWS);
      if (device === "cpu") return { weight: few / (CHOOSING_ROWS * columns), column: 0 };
      const weight = Math.max(0, least(MANY_ROWS) - few) / ((MANY_ROWS - CHOOSING_ROWS) * columns);
      return { weight, column: Math.max(0, few / columns - CHOOSING_ROWS * weight) };
    }),
  );
}

/** Seconds on a CPU that are short enough to be spent again. */
const SHORT = 0.1;
/** A column takes as long for few rows as for some more; on a device, where it launches as much, for many more. */
const [CHOOSING_ROWS, MANY_ROWS] = [512, 4096];

function disposing<T extends { dispose(): void }>(it: T): { readonly it: T } & Disposable {
  return { it, [Symbol.dispose]: () => it.dispose() };
}
