import { SecondMoments } from "../../quant/second-moments.js";
import type { Device, Tensor } from "../../tensor/index.js";

/** Takes inputs of a Linear, `[part.length, positions, in]`. */
export type RowsObserver = (layer: string, rows: Tensor) => void;

interface Sum {
  readonly moments: SecondMoments;
  /** How many sequences, from the first on, it holds. */
  counted: number;
}

/**
 * Second moments of the inputs of Linears over the calibration sequences, which come in parts and in order. When memory
 * runs out a part is run again in smaller ones; no sequence is counted twice.
 */
export class SiteMoments implements Disposable {
  readonly #sums = new Map<string, Sum>();

  constructor(private readonly device: Device) {}

  /** Those of the inputs `[in]` that `layer` was observed with; null where there are none. */
  of(layer: string): SecondMoments | null {
    return this.#sums.get(layer)?.moments ?? null;
  }

  /**
   * Runs `work`, which hands the inputs `[part.length, positions, in]` of the Linears that count to its argument, and adds
   * them up. The tensors must live until `work` returns.
   */
  during<T>(part: readonly number[], work: (observe: RowsObserver) => T): T {
    const inputs = new Map<string, Tensor>();
    const result = work((layer, input) => void inputs.set(layer, input));
    // Not earlier: what runs out of memory usually does so in the block, and then nothing of the part is counted.
    for (const [layer, input] of inputs) this.#count(layer, input, part);
    return result;
  }

  /** Frees those of one Linear. */
  drop(layer: string): void {
    this.#sums.get(layer)?.moments.dispose();
    this.#sums.delete(layer);
  }

  [Symbol.dispose](): void {
    for (const layer of [...this.#sums.keys()]) this.drop(layer);
  }

  #count(layer: string, input: Tensor, part: readonly number[]): void {
    const [first = 0] = part;
    let sum = this.#sums.get(layer);
    if (sum === undefined) {
      sum = { moments: new SecondMoments(input.size(-1), this.device), counted: 0 };
      this.#sums.set(layer, sum);
    }
    // Memory may run out between two Linears of a part, or behind them: the first then holds it already.
    const known = Math.max(0, sum.counted - first);
    if (known >= part.length) return;
    sum.moments.add(known === 0 ? input : input.narrow(0, known, part.length - known));
    sum.counted = first + part.length;
  }
}
