import {
  type LinearWeights,
  layerOf,
  linearOf,
  type NormWeights,
  normOf,
  normWeights,
  type UnitPlan,
  type UnitWeights,
} from "../network/index.js";
import { type DType, keep, noGrad, scope, type Tensor } from "../tensor/index.js";
import type { UnitTransform } from "../transform/unit-transform.js";
import type { Collected } from "./quantized-layer.js";

interface Leaf {
  readonly soft: Tensor;
  /** What the unit computes with: it collects the gradient of any number of micro-batches. */
  readonly tensor: Tensor;
}

/**
 * Norms and biases of a unit as a transform has them in a step: like the operand of a Linear they are made once, and what
 * they collected passes the transform once.
 */
export class TransformedVectors {
  readonly #leaves: Leaf[] = [];
  #norms: ReadonlyMap<string, NormWeights> | null = null;
  #biases: ReadonlyMap<string, Tensor> = new Map();
  #matrices: ReadonlyMap<string, Tensor> = new Map();

  constructor(
    private readonly transform: UnitTransform,
    private readonly weightOf: (linear: string) => Tensor,
    private readonly computeType: DType,
  ) {}

  /** Makes them anew; without gradients where those are off. */
  prepare(): void {
    this.release();
    const { norms, biases, matrices = new Map<string, Tensor>() } = scope(() => this.transform.vectors(this.weightOf));
    this.#norms = new Map(
      [...norms].map(([name, { weight, bias, offset }]) => {
        const gains = this.#leaf(weight);
        return [name, { weight: gains, bias: bias === null ? null : this.#leaf(bias), offset }] as const;
      }),
    );
    this.#matrices = new Map([...matrices].map(([name, own]) => [name, this.#leaf(own, this.computeType)] as const));
    this.#biases = new Map([...biases].map(([name, bias]) => [name, this.#leaf(bias, this.computeType)] as const));
  }

  /** The unit's weights with these in place of its own. */
  replaced(weights: UnitWeights): UnitWeights {
    if (this.#norms === null) throw new TypeError("the unit's transform is not prepared");
    const linear = (name: string, own: LinearWeights): LinearWeights => {
      const bias = this.#biases.get(name);
      return bias === undefined ? own : { ...own, bias };
    };
    return {
      ...weights,
      layers: new Map([...weights.layers].map(([name, own]) => [name, linear(name, own)] as const)),
      norms: new Map(
        [...weights.norms, ...this.#norms].map(([name, norm]) => {
          const matrix = this.#matrices.get(name) ?? weights.norms.get(name)?.matrix;
          return [name, matrix === undefined ? norm : { ...norm, matrix }] as const;
        }),
      ),
    };
  }

  /**
   * Makes what the transform has become part of the unit's weights, fp32, those of its Linears too. Returns the norms, biases and matrices
   * that changed, by full name, as they are to be stored.
   */
  fold(unit: UnitPlan, weights: UnitWeights): ReadonlyMap<string, Tensor> {
    const changed = new Map<string, Tensor>();
    const put = (own: Tensor | null | undefined, name: string, value: Tensor): void => {
      own?.copy_(value);
      changed.set(name, keep(value.clone()));
    };
    noGrad(() =>
      scope(() => {
        const { norms, biases, matrices = [] } = this.transform.vectors(this.weightOf);
        for (const name of this.transform.linears) {
          scope(() => linearOf(weights, name).weight.copy_(this.transform.weight(name, this.weightOf(name))));
        }
        for (const [name, { weight, bias }] of norms) {
          const [own, { module }] = [normWeights(weights, name), normOf(unit, name)];
          put(own.weight, `${module}.weight`, weight);
          if (bias !== null) put(own.bias, `${module}.bias`, bias);
        }
        for (const [name, matrix] of matrices) {
          put(normWeights(weights, name).matrix, normOf(unit, name).matrix as string, matrix);
        }
        for (const [name, bias] of biases) {
          put(linearOf(weights, name).bias, `${layerOf(unit, name).module}.bias`, bias);
        }
      }),
    );
    return changed;
  }

  /** What they collected, for one pass backwards. */
  collected(): Collected[] {
    return this.#leaves.flatMap(({ soft, tensor }) => {
      const gradient = tensor.grad;
      return gradient === null || !soft.requiresGrad ? [] : [{ soft, gradient }];
    });
  }

  /** Frees them. */
  release(): void {
    for (const { soft, tensor } of this.#leaves) {
      soft.dispose();
      tensor.dispose();
    }
    this.#leaves.length = 0;
    this.#norms = null;
    this.#biases = new Map();
    this.#matrices = new Map();
  }

  #leaf(value: Tensor, dtype: DType = value.dtype): Tensor {
    const soft = keep(value.dtype === dtype ? value : scope(() => value.to(dtype)));
    if (soft !== value) value.dispose();
    const tensor = keep(soft.detach());
    if (soft.requiresGrad) tensor.requiresGrad_();
    this.#leaves.push({ soft, tensor });
    return tensor;
  }
}
