import { keep, noGrad, scope, type Tensor } from "../../tensor/index.js";
import { dequantize, grouped, roundToNearest, ungrouped } from "../grid/grid.js";
import { binaryCodes, binaryRange } from "../grid/group-grid.js";
import { searchRange } from "../grid/range.js";
import type { Scheme } from "../scheme.js";
import type { GroupBits } from "./paired-pointer.js";

/**
 * What a Linear's output loses when its groups of columns are rounded to nearest with these bits: `KL(softmax(x W^T) ||
 * softmax(x W'^T))` over the output channels, in the mean over some inputs. A bias is on neither side. Only groups whose bits
 * changed since the last call are rounded again.
 * Source: SliM-LLM (arXiv 2405.14917), equation 5.
 */
export class OutputDivergence implements Disposable {
  readonly #exact: Tensor;
  /** Output with the groups as they were rounded last, fp32 `[tokens, out]`. */
  readonly #output: Tensor;
  readonly #bits: number[];

  /**
   * @param weight fp32 `[out, in]`
   * @param inputs fp32 `[tokens, in]`
   */
  constructor(
    private readonly weight: Tensor,
    private readonly inputs: Tensor,
    private readonly scheme: Scheme,
    private readonly groupSize: number,
  ) {
    const exact = scope(() => inputs.linear(weight, null));
    this.#exact = keep(scope(() => exact.logSoftmax(1)));
    this.#output = keep(exact);
    this.#bits = new Array<number>(weight.size(1) / groupSize).fill(EXACT);
  }

  /** Nats per input. */
  of(bits: GroupBits): number {
    return noGrad(() =>
      scope(() => {
        bits.forEach((width, group) => {
          if (width !== this.#bits[group]) this.#change(group, width);
        });
        const theirs = this.#output.logSoftmax(1);
        return this.#exact.exp().mul(this.#exact.sub(theirs)).sum().item() / this.inputs.size(0);
      }),
    );
  }

  [Symbol.dispose](): void {
    this.#exact.dispose();
    this.#output.dispose();
  }

  #change(group: number, width: number): void {
    scope(() => {
      const columns = [group * this.groupSize, this.groupSize] as const;
      const exact = this.weight.narrow(1, ...columns);
      const change = this.#rounded(exact, width).sub(this.#rounded(exact, this.#bits[group] ?? EXACT));
      this.#output.add_(this.inputs.narrow(1, ...columns).linear(change, null));
    });
    this.#bits[group] = width;
  }

  #rounded(exact: Tensor, width: number): Tensor {
    if (width === EXACT) return exact;
    if (width > 1) {
      const grid = searchRange(exact, { ...this.scheme, bits: width, groupSize: null }, "", { candidates: 1 });
      return dequantize(roundToNearest(exact, grid));
    }
    const range = binaryRange(grouped(exact, this.groupSize));
    const codes = binaryCodes(grouped(exact, this.groupSize), range);
    return ungrouped(codes.sub(range.zeroPoint).mul(range.scale));
  }
}

/** Stands for weights that are not rounded. */
const EXACT = 16;
