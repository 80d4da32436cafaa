import type { LinearRole } from "../../network/index.js";
import { SecondMoments } from "../../quant/second-moments.js";
import type { InputObserver } from "../../reconstruct/quantized-block.js";
import type { Device, Tensor } from "../../tensor/index.js";

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
  readonly #sums = new Map<LinearRole, Sum>();

  constructor(private readonly device: Device) {}

  /** Those of the inputs `[in]` that `role` was observed with; null where there are none. */
  of(role: LinearRole): SecondMoments | null {
    return this.#sums.get(role)?.moments ?? null;
  }

  /**
   * Runs `work`, which hands the inputs `[part.length, time, in]` of the Linears that count to its argument, and adds
   * them up. The tensors must live until `work` returns.
   */
  during<T>(part: readonly number[], work: (observe: InputObserver) => T): T {
    const inputs = new Map<LinearRole, Tensor>();
    const result = work((role, input) => void inputs.set(role, input));
    // Not earlier: what runs out of memory usually does so in the block, and then nothing of the part is counted.
    for (const [role, input] of inputs) this.#count(role, input, part);
    return result;
  }

  /** Frees those of one Linear. */
  drop(role: LinearRole): void {
    this.#sums.get(role)?.moments.dispose();
    this.#sums.delete(role);
  }

  [Symbol.dispose](): void {
    for (const role of [...this.#sums.keys()]) this.drop(role);
  }

  #count(role: LinearRole, input: Tensor, part: readonly number[]): void {
    const [first = 0] = part;
    let sum = this.#sums.get(role);
    if (sum === undefined) {
      sum = { moments: new SecondMoments(input.size(-1), this.device), counted: 0 };
      this.#sums.set(role, sum);
    }
    // Memory may run out between two Linears of a part, or behind them: the first then holds it already.
    const known = Math.max(0, sum.counted - first);
    if (known >= part.length) return;
    sum.moments.add(known === 0 ? input : input.narrow(0, known, part.length - known));
    sum.counted = first + part.length;
  }
}
