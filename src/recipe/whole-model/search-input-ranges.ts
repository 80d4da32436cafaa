import { type Clips, StoredTensorQuantizer, type TensorGrid } from "../../quant/input/asymmetric-tensor.js";
import { levels } from "../../quant/scheme.js";
import { noGrad, scope, Tensor } from "../../tensor/index.js";

/** Shares of the range that was seen, both ends drawn in alike. */
const CANDIDATES = 40;

/** How the inputs of a network are shown to a search: each call runs the same text. */
export type ShowInputs = (see: (module: string, input: Tensor) => void) => void;

/**
 * Finds a range for each of some Linears' inputs, quantized per tensor: of those that reach from 100 % to 20 % of the smallest
 * and the largest number seen, the one whose squared rounding error is least. Shows the inputs twice.
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
    const [low, high] = noGrad(() =>
      scope(() => Tensor.stack([input.amin(), input.amax()]).to("float32").toFloat32Array()),
    ) as unknown as [number, number];
    const before = ends.get(module) ?? { low: 0, high: 0 };
    ends.set(module, { low: Math.min(before.low, low), high: Math.max(before.high, high) });
  });
  const searches = new Map([...ends].map(([module, clips]) => [module, new Search(bits, clips, aligned)]));
  show((module, input) => searches.get(module)?.observe(input));
  return new Map([...searches].map(([module, search]) => [module, search.best]));
}

class Search {
  readonly #grids: readonly TensorGrid[];
  readonly #errors = new Float64Array(CANDIDATES);

  constructor(
    private readonly bits: number,
    { low, high }: Clips,
    aligned: boolean,
  ) {
    this.#grids = Array.from({ length: CANDIDATES }, (_, i) => {
      const share = 1 - (0.8 * i) / (CANDIDATES - 1);
      const scale = (Math.max(high - low, 1e-6) * share) / (levels(bits) - 1);
      const zeroPoint = Math.max(0, (-low * share) / scale);
      return { scale: Math.fround(scale), zeroPoint: Math.fround(aligned ? Math.round(zeroPoint) : zeroPoint) };
    });
  }

  observe(input: Tensor): void {
    noGrad(() =>
      scope(() => {
        const x = input.detach().to("float32");
        const errors = this.#grids.map((grid) =>
          scope(() => {
            const quantizer = new StoredTensorQuantizer(this.bits, grid, x.device);
            const error = quantizer.apply(x).sub(x).square().sum();
            quantizer.dispose();
            return error;
          }),
        );
        // Read together: a device is waited for once.
        Tensor.stack(errors)
          .toFloat32Array()
          .forEach((error, i) => {
            this.#errors[i] = (this.#errors[i] as number) + error;
          });
      }),
    );
  }

  get best(): TensorGrid {
    return this.#grids[this.#errors.indexOf(Math.min(...this.#errors))] as TensorGrid;
  }
}
