import {
  type AttentionValues,
  type LinearWeights,
  layerOf,
  linearOf,
  mapUnit,
  multiplied,
  type OpenNetwork,
  type OwnedUnitWeights,
  type Ports,
  type UnitPlan,
  type UnitWeights,
} from "../network/index.js";
import type { Parameter } from "../quant/parameter.js";
import type { RoundingPenalty } from "../quant/weight-path/weight-path.js";
import { type DType, keep, noGrad, type RowGroups, scope, type Tensor } from "../tensor/index.js";
import type { UnitTransform } from "../transform/unit-transform.js";
import type { Collected, QuantizedLayer } from "./quantized-layer.js";
import { TrainedNorms } from "./trained-norms.js";
import { TransformedVectors } from "./transformed-vectors.js";

/** Called with the input of every Linear while a unit runs. */
export type InputObserver = (layer: string, input: Tensor, linear: LinearWeights, groups?: RowGroups) => void;

/** Called with what a unit's attention computes with while it runs. */
export type AttentionObserver = (values: AttentionValues) => void;

/** One unit of a network with its full-precision weights and its quantized Linears. */
export class QuantizedUnit {
  #weights: OwnedUnitWeights;
  /** By the weight in the products' dtype, which differs from it. */
  #exact: ReadonlyMap<Tensor, Tensor> = new Map();
  #norms: TrainedNorms | null = null;
  #trainsInputs = false;
  /** Calibration tokens that each of its experts computes; null where nobody counted. */
  expertTokens: readonly number[] | null = null;
  #transform: UnitTransform | null = null;
  /** Norms and biases of the step, as the transform has them. */
  #vectors: TransformedVectors | null = null;
  /** Biases that its layers add in place of their own where it is quantized, `[out]`, by layer. */
  readonly #biases = new Map<string, Tensor>();
  /** Norms and biases that folding changed, by full name, fp32 with the values that are stored. */
  readonly #folded = new Map<string, Tensor>();

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
    return [...this.trained.flatMap((layer) => layer.parameters), ...this.#besideLayers()];
  }

  /** The parameters whose gradients are finite when all are. */
  get telling(): readonly Parameter[] {
    return [...this.trained.flatMap((layer) => layer.telling), ...this.#besideLayers()];
  }

  /** Norms and biases that differ from the checkpoint's, by full name, as they are to be stored. */
  get changed(): readonly { readonly name: string; readonly tensor: Tensor }[] {
    const biases = [...this.#biases].map(
      ([name, tensor]) => [`${layerOf(this.plan, name).module}.bias`, tensor] as const,
    );
    const changed = [...this.#folded, ...biases].map(([name, tensor]) => ({ name, tensor }));
    return [...(this.#norms?.parameters ?? []), ...changed];
  }

  /** Has a layer, whether its weight is quantized or not, add another bias, which it takes over; the full-precision unit keeps its own. */
  replaceBias(layer: string, bias: Tensor): void {
    this.#biases.get(layer)?.dispose();
    this.#biases.set(layer, bias);
  }

  #besideLayers(): Parameter[] {
    const inputs = this.#trainsInputs ? [...this.layers.values()].filter((layer) => layer.path === null) : [];
    return [
      ...(this.#norms?.parameters ?? []),
      ...(this.#transform?.parameters ?? []),
      ...inputs.flatMap((layer) => layer.parameters),
    ];
  }

  /** Starts to train how inputs are quantized, of Linears too whose codes are chosen. */
  trainInputs(): void {
    this.#trainsInputs = true;
  }

  /** Its norms as the quantized unit has them, where those are trained. */
  get norms(): TrainedNorms | null {
    return this.#norms;
  }

  /** Starts to train the gains and shifts of its norms; the full-precision unit keeps its own. */
  trainNorms(): void {
    this.#norms ??= new TrainedNorms(this.plan, this.#weights);
  }

  /** What is trained between its Linears; null before that, and once it is folded. */
  get transform(): UnitTransform | null {
    return this.#transform;
  }

  /** Starts to train a transform of its weights as they are now, which it takes over; the full-precision unit keeps its own. */
  transformBy(transform: UnitTransform, computeType: DType): void {
    this.#transform = transform;
    this.#vectors = new TransformedVectors(transform, (name) => this.#fullWeight(name), computeType);
  }

  /** The weight `[out, in]` of a Linear behind the transform, fp32, differentiable in it. */
  transformedWeight(layer: string): Tensor {
    const own = this.#fullWeight(layer);
    return this.#transform?.weight(layer, own) ?? own;
  }

  /**
   * Makes what its transform has become part of the unit itself, whose codes are chosen: full precision computes the same as
   * before, but for how sums are rounded. `computeType`: dtype of the products.
   */
  foldTransform(computeType: DType): void {
    if (this.#vectors === null) return;
    this.castWeights("float32");
    for (const [name, tensor] of this.#vectors.fold(this.plan, this.#weights)) this.#folded.set(name, tensor);
    this.#dropTransform();
    this.castWeights(computeType);
  }

  /** Makes what a training step computes with. */
  prepare(penalty: RoundingPenalty | null): void {
    this.#vectors?.prepare();
    for (const layer of this.trained) layer.prepare(penalty);
  }

  /** What the norms and biases of the step collected, where a transform makes them. */
  collected(): readonly Collected[] {
    return this.#vectors?.collected() ?? [];
  }

  /** Computes with the hard weights of the current state, for measuring; training can go on afterwards. */
  previewHard(): void {
    noGrad(() => this.#vectors?.prepare());
    for (const layer of this.layers.values()) layer.previewHard();
  }

  /** Frees what a step made. */
  release(): void {
    this.#vectors?.release();
    for (const layer of this.trained) layer.release();
  }

  #dropTransform(): void {
    this.#vectors?.release();
    this.#vectors = null;
    this.#transform?.dispose();
    this.#transform = null;
  }

  #fullWeight(layer: string): Tensor {
    return this.exactWeight(layer).to("float32");
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
    const weights = this.#norms?.replaced(this.#weights) ?? this.#vectors?.replaced(this.#weights) ?? this.#weights;
    return this.network.run(this.plan, weights, x, {
      through,
      ...(observe !== undefined && { observe }),
      product: (name, input, linear, groups) => this.product(name, input, linear, x, groups),
    });
  }

  /** What a layer of the quantized unit makes of an input; undefined for one that computes as in full precision. */
  product(name: string, x: Tensor, linear: LinearWeights, ports: Ports, groups?: RowGroups): Tensor | undefined {
    const bias = this.#biases.get(name);
    const own = bias === undefined ? linear : { ...linear, bias };
    const layer = this.layers.get(name);
    if (layer !== undefined) return layer.apply(x, own, groups, ports);
    return bias === undefined ? undefined : multiplied(x, own.weight, own, groups);
  }

  dispose(): void {
    for (const layer of this.layers.values()) layer.dispose();
    this.#norms?.dispose();
    this.#dropTransform();
    for (const tensor of [...this.#folded.values(), ...this.#biases.values()]) tensor.dispose();
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
