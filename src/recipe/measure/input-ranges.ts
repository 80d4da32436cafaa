import type { PortStore } from "../../calibration/port-store.js";
import type { TensorGrid } from "../../quant/input/asymmetric-tensor.js";
import { levels } from "../../quant/scheme.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { readNeeded } from "../../reconstruct/training/window-ports.js";
import { callTensor, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";

/** Examples that a range is searched for on, and that are seen at once afterwards. */
const BATCH = 16;
/** Share of a range that stays when more examples are seen. */
const MOMENTUM = 0.95;
/** Shares of the range that the search tries, from all of it down to the smallest. */
const SHARES = Array.from({ length: 40 }, (_, i) => 1 - (0.8 * i) / 39);
/** Numbers that a search looks at, evenly spread over a tensor: more change nothing but the time that it takes. */
const MOST_NUMBERS = 2 ** 16;

/** What is known of the range of an input. */
interface Ends {
  readonly low: number;
  readonly high: number;
  /** What the search clips both ends to. */
  readonly share: number;
}

/** Asymmetric grids of a Linear's input, one for each group of examples. */
export interface GroupedRanges {
  readonly grids: readonly TensorGrid[];
  /** Whether the first dimension of the input counts examples, or equally many rows of each. */
  readonly byExample: boolean;
}

/**
 * Ranges of the inputs of those of a block's Linears that have `bits`, for each group of examples, in full precision, by name: on the first
 * 16 of a group the share of what was seen whose squared rounding error is least; then the ends follow what else is seen of the
 * group, by 5 % for every 16 examples, at the share that was found.
 * Source: TFMQ-DM (arXiv 2311.16503), section 4.3, and its code, whose ends forget the search as they move.
 */
export function measureInputRanges(
  job: Pick<RecipeJob, "poll">,
  block: QuantizedUnit,
  stream: PortStore,
  groups: readonly (readonly number[])[],
  bits: ReadonlyMap<string, number>,
): ReadonlyMap<string, GroupedRanges> {
  const found = new Map<string, { readonly grids: TensorGrid[]; byExample: boolean }>();
  for (const group of groups) {
    const ends = new Map<string, Ends>();
    for (let first = 0; first < group.length; first += BATCH) {
      job.poll();
      const part = group.slice(first, first + BATCH);
      noGrad(() =>
        scope(() => {
          block.forwardFull(readNeeded(stream, [block], part), (layer, x) => {
            const own = bits.get(layer);
            if (own === undefined) return;
            const entry = found.get(layer) ?? { grids: [], byExample: true };
            found.set(layer, entry);
            if (x.size(0) % part.length !== 0) entry.byExample = false;
            const before = ends.get(layer);
            ends.set(layer, before === undefined ? searched(x, own) : followed(before, x));
          });
        }),
      );
    }
    for (const [layer, known] of ends) found.get(layer)?.grids.push(gridOf(known, bits.get(layer) ?? 8));
  }
  return found;
}

function followed({ low, high, share }: Ends, x: Tensor): Ends {
  const [least, most] = extremes(x);
  const move = (from: number, to: number): number => MOMENTUM * from + (1 - MOMENTUM) * to;
  return { low: move(low, least), high: move(high, most), share };
}

function searched(input: Tensor, bits: number): Ends {
  return scope(() => {
    const [low, high] = extremes(input);
    const flat = input.detach().to("float32").reshape([-1]);
    const stride = Math.max(1, Math.ceil(flat.numel / MOST_NUMBERS));
    const x = callTensor("aten::slice.Tensor", [flat, 0, 0, flat.numel, stride]);
    const grids = SHARES.map((share) => gridOf({ low, high, share }, bits));
    const column = (values: readonly number[]): Tensor =>
      Tensor.from(Float32Array.from(values), [values.length, 1]).to(x.device);
    const scales = column(grids.map(({ scale }) => scale));
    const zeroPoints = column(grids.map(({ zeroPoint }) => zeroPoint));
    const errors = x
      .reshape([1, -1])
      .div(scales)
      .add_(zeroPoints)
      .clamp_(0, levels(bits) - 1)
      .round_()
      .sub_(zeroPoints)
      .mul_(scales)
      .sub_(x)
      .square()
      .sum(1)
      .toFloat32Array();
    return { low, high, share: SHARES[errors.indexOf(Math.min(...errors))] ?? 1 };
  });
}

// Zero stays in the range: a code stands for it.
function extremes(x: Tensor): readonly [low: number, high: number] {
  const [low = 0, high = 0] = scope(() => Tensor.stack([x.amin(), x.amax()]).to("float32").toFloat32Array());
  return [Math.min(0, low), Math.max(0, high)];
}

function gridOf({ low, high, share }: Ends, bits: number): TensorGrid {
  const top = levels(bits) - 1;
  const scale = Math.fround(Math.max((high - low) * share, 1e-8) / top);
  return { scale, zeroPoint: Math.min(top, Math.max(0, Math.round((-low * share) / scale))) };
}
