import { type Clips, StoredTensorQuantizer, type TensorGrid } from "../../quant/input/asymmetric-tensor.js";
import { levels } from "../../quant/scheme.js";
import { noGrad, scope, Tensor } from "../../tensor/index.js";

/** How far in an end is drawn, in shares of what was seen on its side. */
const SHARES = Array.from({ length: 20 }, (_, i) => 1 - (0.85 * i) / 19);

/** How the inputs of a network are shown to a search: each call runs the same text. */
export type ShowInputs = (see: (module: string, input: Tensor) => void) => void;

/**
 * Finds a range for each of some Linears' inputs, quantized per tensor: from the smallest and the largest number seen, first
 * the upper end is drawn in to where the squared rounding error is least, and then the lower one, since what stands out is
 * mostly on one side. Shows the inputs three times.
 *
 * @param aligned whether zero has to be a level
 */
export function searchInputRanges(
  modules: ReadonlySet<string>,
  bits: number,
  show: ShowInputs,
  { aligned }: { readonly aligned: boolean },
): ReadonlyMap<string, TensorGrid> {
  const ends = new Map<string, Clips>();
  show((module, input) => {
    if (!modules.has(module)) return;
    const extremes = noGrad(() =>
      scope(() => Tensor.stack([input.amin(), input.amax()]).to("float32").toFloat32Array()),
    );
    const before = ends.get(module) ?? { low: 0, high: 0 };
    ends.set(module, {
      low: Math.min(before.low, extremes[0] ?? 0),
      high: Math.max(before.high, extremes[1] ?? 0),
    });
  });
  const grids = (clips: Clips): TensorGrid => gridOf(clips, bits, aligned);
  for (const drawn of [
    ({ low, high }: Clips, share: number): Clips => ({ low, high: high * share }),
    ({ low, high }: Clips, share: number): Clips => ({ low: low * share, high }),
  ]) {
    const candidates = new Map(
      [...ends].map(([module, clips]) => [module, SHARES.map((share) => drawn(clips, share))]),
    );
    const errors = new Map([...ends.keys()].map((module) => [module, new Float64Array(SHARES.length)]));
    show((module, input) => {
      const sums = errors.get(module);
      if (sums !== undefined) addErrors(sums, input, (candidates.get(module) ?? []).map(grids), bits);
    });
    for (const [module, sums] of errors) {
      ends.set(module, candidates.get(module)?.[sums.indexOf(Math.min(...sums))] as Clips);
    }
  }
  return new Map([...ends].map(([module, clips]) => [module, grids(clips)]));
}

// As the numbers are stored: fp32.
function gridOf({ low, high }: Clips, bits: number, aligned: boolean): TensorGrid {
  const scale = Math.fround(Math.max(high - low, 1e-6) / (levels(bits) - 1));
  const zeroPoint = Math.min(levels(bits) - 1, -low / scale);
  return { scale, zeroPoint: Math.fround(aligned ? Math.round(zeroPoint) : zeroPoint) };
}

// What rounding on each of these grids loses of an input.
function addErrors(sums: Float64Array, input: Tensor, grids: readonly TensorGrid[], bits: number): void {
  noGrad(() =>
    scope(() => {
      const x = input.detach().to("float32");
      const errors = grids.map((grid) =>
        scope(() => {
          const quantizer = new StoredTensorQuantizer(bits, grid, x.device);
          const error = quantizer.apply(x).sub(x).square().sum();
          quantizer.dispose();
          return error;
        }),
      );
      // Read together: a device is waited for once.
      Tensor.stack(errors)
        .toFloat32Array()
        .forEach((error, i) => {
          sums[i] = (sums[i] as number) + error;
        });
    }),
  );
}
