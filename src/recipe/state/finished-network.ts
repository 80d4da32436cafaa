import type { Ports } from "../../network/index.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { noGrad, scope } from "../../tensor/index.js";
import type { RecipeJob, RecipeResults } from "../job/recipe-job.js";
import { UnitSource } from "./unit-source.js";

/** The network that a job made, from its results: all units in memory, codes and quantized inputs as a runtime computes them. */
export class FinishedNetwork implements Disposable {
  readonly #source: UnitSource;
  readonly #units: QuantizedUnit[] = [];

  /** @throws CheckpointError for a tensor that is missing */
  constructor(job: RecipeJob, results: RecipeResults) {
    this.#source = new UnitSource(job, job.tokens?.context ?? 1);
    try {
      for (const { index } of job.network.units) {
        const unit = this.#source.openFinished(index, results, false);
        this.#units.push(unit);
        unit.previewHard();
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** What the last unit, or the last of the first `units`, gives of the network's inputs. The caller, or the scope around, owns it. */
  run(ports: Ports, units = this.#units.length): Ports {
    const run = (x: Ports, unit: QuantizedUnit): Ports => scope(() => unit.forwardQuantized(x));
    return noGrad(() => scope(() => this.#units.slice(0, units).reduce(run, ports)));
  }

  [Symbol.dispose](): void {
    for (const unit of this.#units) unit.dispose();
    this.#source.dispose();
  }
}
