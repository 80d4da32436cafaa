import {
  type AttentionValues,
  linearOf,
  mapUnit,
  type OpenNetwork,
  type OwnedUnitWeights,
  type Ports,
  type UnitPlan,
  type UnitWeights,
} from "../network/index.js";
import type { Parameter } from "../quant/parameter.js";
import { type DType, keep, noGrad, type RowGroups, scope, type Tensor } from "../tensor/index.js";
import type { QuantizedLayer } from "./quantized-layer.js";
import { TrainedNorms } from "./trained-norms.js";

/** Called with the input of every Linear while a unit runs. */
export type InputObserver = (layer: string, input: Tensor, groups?: RowGroups) => void;

/** Called with what a unit's attention computes with while it runs. */
export type AttentionObserver = (values: AttentionValues) => void;

/** One unit of a network with its full-precision weights and its quantized Linears. */
export class QuantizedUnit {
  #weights: OwnedUnitWeights;
  /** By the weight in the products' dtype, which differs from it. */
  #exact: ReadonlyMap<Tensor, Tensor> = new Map();
  #norms: TrainedNorms | null = null;
  /** Calibration tokens that each of its experts computes; null where nobody counted. */
  expertTokens: readonly number[] | null = null;

  constructor(
    readonly plan: UnitPlan,
    private readonly network: OpenNetwork,
    weights: OwnedUnitWeights,
    readonly layers: ReadonlyMap<string, QuantizedLayer>,
  ) {
    this.#weights = weights;
  }

  /** Its place in the network. */
  get index(): number {
    return this.plan.index;
  }

  /** Full-precision weights, owned; fp32 until `castWeights`. */
  get weights(): UnitWeights {
    return this.#weights;
  }

  /**
   * The weight `[out, in]` of a Linear as the checkpoint has it, or as folding left it, whatever the products' dtype: what
   * codes are chosen for. Fp32, or a dtype that holds the same numbers.
   */
  exactWeight(layer: string): Tensor {
    const { weight } = linearOf(this.#weights, layer);
    return this.#exact.get(weight) ?? weight;
  }

  /** Casts the weights to the products' dtype. Those that this changes stay beside them as they were; fp32 brings them back. */
  castWeights(dtype: DType): void {
    const before = this.#weights;
    const exact = new Map<Tensor, Tensor>();
    const change = (tensor: Tensor): Tensor => {
      const source = this.#exact.get(tensor) ?? tensor;
      const cast = keep(source.to(dtype));
      if (dtype !== "float32" && !isSame(cast, source)) exact.set(cast, keep(source.detach()));
      return cast;
    };
    try {
      this.#weights = noGrad(() => mapUnit(before, change));
    } catch (error) {
      for (const tensor of exact.values()) tensor.dispose();
      throw error;
    }
    this.dropExactWeights();
    before.dispose();
    this.#exact = exact;
  }

  /** Frees what `castWeights` kept, where no codes are to be chosen. */
  dropExactWeights(): void {
    for (const tensor of this.#exact.values()) tensor.dispose();
    this.#exact = new Map();
  }

  /** Everything that training may change of it. */
  get parameters(): readonly Parameter[] {
    return [...this.trained.flatMap((layer) => layer.parameters), ...(this.#norms?.parameters ?? [])];
  }

  /** The parameters whose gradients are finite when all are. */
  get telling(): readonly Parameter[] {
    return [...this.trained.flatMap((layer) => layer.telling), ...(this.#norms?.parameters ?? [])];
  }

  /** Its norms as the quantized unit has them, where those are trained. */
  get norms(): TrainedNorms | null {
    return this.#norms;
  }

  /** Starts to train the gains and shifts of its norms; the full-precision unit keeps its own. */
  trainNorms(): void {
    this.#norms ??= new TrainedNorms(this.plan, this.#weights);
  }

  /** Its Linears that are trained. */
  get trained(): readonly QuantizedLayer[] {
    return [...this.layers.values()].filter((layer) => layer.path !== null);
  }

  /** The unit in full precision. */
  forwardFull(
    x: Ports,
    observe?: InputObserver,
    attention?: AttentionObserver,
    through: readonly number[] = [],
  ): Ports {
    return this.network.run(this.plan, this.#weights, x, {
      through,
      ...(observe !== undefined && { observe }),
      ...(attention !== undefined && { attention }),
    });
  }

  /** The unit with quantized weights and inputs; Linears without a layer stay in full precision. */
  forwardQuantized(x: Ports, observe?: InputObserver, through: readonly number[] = []): Ports {
    const weights = this.#norms?.replaced(this.#weights) ?? this.#weights;
    return this.network.run(this.plan, weights, x, {
      through,
      ...(observe !== undefined && { observe }),
      product: (name, input, linear, groups) => this.layers.get(name)?.apply(input, linear, groups),
    });
  }

  dispose(): void {
    for (const layer of this.layers.values()) layer.dispose();
    this.#norms?.dispose();
    this.dropExactWeights();
    this.#weights.dispose();
  }
}

// Whether a cast to a narrower dtype kept every number.
function isSame(cast: Tensor, source: Tensor): boolean {
  return scope(() => {
    const lost = cast.to("float32").sub_(source);
    return lost.amax().item() === 0 && lost.amin().item() === 0;
  });
}

/** Runs units one after the other. What no gradient needs of a unit is freed behind it. */
export function forwardAll(
  units: readonly QuantizedUnit[],
  x: Ports,
  run: (unit: QuantizedUnit, x: Ports) => Ports,
): Ports {
  return scope(() => units.reduce((ports, unit) => scope(() => run(unit, ports)), x));
}

/** What a window's units, quantized, write of the ports that they are given: what is held against its targets. */
export function windowOutput(units: readonly QuantizedUnit[], x: Ports): Ports {
  const written = new Set(units.flatMap(({ plan }) => plan.writes));
  const output = forwardAll(units, x, (unit, ports) => unit.forwardQuantized(ports));
  return Object.fromEntries(Object.entries(output).filter(([name]) => written.has(name)));
}
