import { roundToNearest } from "../../../quant/grid/grid.js";
import { searchRange } from "../../../quant/grid/range.js";
import { Quadratic } from "../../../reconstruct/objective/quadratic.js";
import { roundByQuadratic } from "../../../reconstruct/training/round-by-quadratic.js";
import { noGrad, scope, Tensor } from "../../../tensor/index.js";
import type { MachineSpeed } from "./machine-speed.js";
import type { SpeedInput } from "./measure-speed.js";
import { timed } from "./timed.js";

/** What a step on a quadratic loss takes beside its product, measured on Linears of few and of more rows; 0 where no steps are taken. */
export function quadraticSeconds(
  columns: number,
  steps: number,
  exactFlops: number,
  { scheme, device }: Pick<SpeedInput, "scheme" | "device">,
): MachineSpeed["quadratic"] {
  if (steps === 0) return { weight: 0, step: 0 };
  const [few, many] = device === "cpu" ? [1, 3] : [8, 40];
  return scope(() => {
    const matrix = Tensor.randn([columns, columns], { device });
    const secondsOf = (rows: number): number => {
      const weight = Tensor.randn([rows, columns], { device }).mul(0.02);
      const start = noGrad(() => roundToNearest(weight, searchRange(weight, scheme, "", { candidates: 1 })));
      const quadratic = new Quadratic(weight, { columns: [{ matrix }], rows: null, heads: 1 });
      const taken = (iterations: number): number =>
        timed(device, () => scope(() => void roundByQuadratic(weight, start, quadratic, { ...TRAINING, iterations })));
      // Libraries set themselves up at first use.
      taken(few);
      const step = (taken(many) - taken(few)) / (many - few);
      return Math.max(0, step - (2 * rows * columns ** 2) / exactFlops);
    };
    const [narrow, wide] = ROWS;
    const [least, most] = [secondsOf(narrow), secondsOf(wide)];
    const weight = Math.max(0, most - least) / ((wide - narrow) * columns);
    return { weight, step: Math.max(0, least - weight * narrow * columns) };
  });
}

/** Rows of the Linears that are measured. */
const ROWS = [64, 512] as const;

const TRAINING = {
  ...{ rate: 0.05, scaleRate: 0, softness: 1, penalty: 1, warmup: 0, betaStart: 20, betaEnd: 2 },
  poll: (): void => {},
};
