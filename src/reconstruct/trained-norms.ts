import { type NormWeights, normOf, type UnitPlan, type UnitWeights } from "../network/index.js";
import type { Parameter } from "../quant/parameter.js";
import { type DType, keep, noGrad, scope, type Tensor } from "../tensor/index.js";

/** Gains and shifts of a unit's norms, those over heads included, while they are trained; fp32. */
export class TrainedNorms {
  readonly parameters: readonly Parameter[];
  readonly #norms: ReadonlyMap<string, NormWeights>;

  /** Starts at the norms of `weights`, which it copies. */
  constructor(unit: UnitPlan, weights: UnitWeights) {
    const parameters: Parameter[] = [];
    const leaf = (name: string, tensor: Tensor): Tensor => {
      const copy = keep(scope(() => tensor.detach().to("float32").clone())).requiresGrad_();
      parameters.push({ role: "norm", name, tensor: copy });
      return copy;
    };
    this.#norms = new Map(
      [...weights.norms].map(([name, { weight, bias, offset }]) => {
        const { module } = normOf(unit, name);
        const gains = leaf(`${module}.weight`, weight);
        return [name, { weight: gains, bias: bias === null ? null : leaf(`${module}.bias`, bias), offset }] as const;
      }),
    );
    this.parameters = parameters;
  }

  /** A unit with these norms in place of its own. */
  replaced(weights: UnitWeights): UnitWeights {
    return { ...weights, norms: this.#norms };
  }

  /** Rounds them to the dtype that they are stored in: what is measured and computed with afterwards. */
  harden(stored: (name: string) => DType): void {
    noGrad(() => {
      for (const { name, tensor } of this.parameters) {
        scope(() => tensor.copy_(tensor.detach().to(stored(name)).to("float32")));
      }
    });
  }

  dispose(): void {
    for (const { tensor } of this.parameters) tensor.dispose();
  }
}
