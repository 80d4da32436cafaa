import type { LinearWeights, NormWeights, UnitWeights } from "../network/index.js";
import { type DType, keep, scope, type Tensor } from "../tensor/index.js";
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
