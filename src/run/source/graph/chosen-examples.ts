import { randomOrder } from "../../../calibration/seeded-random.js";
import type { GraphExamples, Ports } from "../../../network/index.js";
import type { ExampleSource } from "./example-source.js";

/** Examples that a network reads once they were chosen; it is opened before. */
export class ChosenExamples implements GraphExamples {
  #loaded: GraphExamples | null = null;

  get count(): number {
    return this.#loaded?.count ?? 0;
  }

  /** Takes so many in a random order that the seed decides: the first ones are the same however many follow. */
  async load(
    source: ExampleSource,
    { count, seed }: { readonly count: number; readonly seed: number },
    onDone: (done: number) => void,
  ): Promise<void> {
    this.#loaded = await source.load([...randomOrder(source.count, count, seed)], onDone);
  }

  read(indices: readonly number[]): Ports {
    if (this.#loaded === null) throw new TypeError("no examples were chosen");
    return this.#loaded.read(indices);
  }
}
