import type { KeyedGrid } from "../../quant/input/keyed-grid.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { RecipeResults, RecipeSink } from "../job/recipe-job.js";

/** What a recipe hands over, kept in memory: for networks that are small, and compared at once. */
export class KeptResults implements RecipeSink, RecipeResults {
  readonly weights = new Map<string, QuantizedWeight>();
  readonly inputGrids = new Map<string, KeyedGrid>();
  readonly #plain = new Map<string, Uint8Array>();
  readonly #activations = new Map<string, { readonly value: number; readonly zeroPoint: number | null }>();

  linear(name: string, weight: QuantizedWeight): void {
    this.weights.set(name, weight);
  }

  plain(name: string, bytes: Uint8Array): void {
    this.#plain.set(name, bytes);
  }

  rescaled(name: string, scales: Float32Array): void {
    this.weights.set(name, { ...this.readLinear(name), scales });
  }

  activation(name: string, value: number, zeroPoint?: number): void {
    this.#activations.set(name, { value, zeroPoint: zeroPoint ?? null });
  }

  inputGrid(name: string, grid: KeyedGrid): void {
    this.inputGrids.set(name, grid);
  }

  windowDone(): void {}

  readLinear(name: string): QuantizedWeight {
    const weight = this.weights.get(name);
    if (weight === undefined) throw new TypeError(`${name} was not quantized`);
    return weight;
  }

  readPlain(name: string): Uint8Array | null {
    return this.#plain.get(name) ?? null;
  }

  activationOf(name: string): number | null {
    return this.#activations.get(name)?.value ?? null;
  }

  zeroPointOf(name: string): number | null {
    return this.#activations.get(name)?.zeroPoint ?? null;
  }

  inputGridOf(name: string): KeyedGrid | null {
    return this.inputGrids.get(name) ?? null;
  }
}
