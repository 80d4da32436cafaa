import { mapPorts, type Ports, portOf } from "../../calibration/port-store.js";
import {
  loadUnit,
  type Network,
  type NetworkEnd,
  type NetworkStart,
  type OpenNetwork,
  type TensorSource,
  type UnitPlan,
  type UnitWeights,
} from "../../network/index.js";
import type { ActivationQuantizer } from "../../quant/input/activation.js";
import { type Parameter, parametersOf } from "../../quant/parameter.js";
import { backward, type Device, type DType, freeOnError, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { OutputObjective } from "../objective/output-objective.js";
import { descendThroughUnits, gradientsOfInputs } from "../through-units.js";
import { Operands } from "./operands.js";

/** What some sequences add to the loss. */
export interface Sequences {
  /** Token ids of these sequences, row by row. */
  readonly ids: Int32Array;
  readonly shape: readonly [sequences: number, tokens: number];
  /** Their numbers, as the objective counts them. */
  readonly part: readonly number[];
  /** What the objective's loss of a token is multiplied with. */
  readonly weight: number;
  /** What a penalty's mean over these sequences is multiplied with: their share of the step, 0 to 1. */
  readonly share: number;
}

/** A term of the loss, a scalar, of what one Linear gives; added up over all of them. */
export type OutputPenalty = (output: Tensor) => Tensor;

interface Opened {
  readonly start: NetworkStart;
  readonly units: readonly UnitWeights[];
  readonly end: NetworkEnd;
}

/**
 * A whole network whose weights all learn: fp32 leaves, and in a step, operands in the dtype of the products, whose gradients
 * any number of micro-batches add to. Units keep nothing but their inputs on the way forward and are computed once more on
 * the way back, so memory holds the activations of a single one.
 */
export class TrainedModel implements Disposable {
  /** fp32 leaves, by the names of the checkpoint; a tied head is the embedding. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** What quantizes the input of a Linear, by module name. */
  readonly inputs = new Map<string, ActivationQuantizer>();
  readonly #run: OpenNetwork;
  readonly #penalised: Tensor;
  readonly #biases: ReadonlySet<string>;
  readonly #operands = new Operands();

  /** @param source fp32 tensors, which the model takes over */
  constructor(
    private readonly network: Network,
    source: TensorSource,
    private readonly to: { readonly device: Device; readonly dtype: DType; readonly length: number },
    private readonly penalty: OutputPenalty | null,
  ) {
    const weights = new Map<string, Tensor>();
    const leaf: TensorSource = (name, shape) => {
      const known = weights.get(name) ?? source(name, shape);
      weights.set(name, known);
      return known;
    };
    freeOnError([{ dispose: () => disposeAll(weights.values()) }], () => this.#open(leaf));
    for (const tensor of weights.values()) tensor.requiresGrad_();
    this.weights = weights;
    this.#biases = new Set(network.units.flatMap(({ layers }) => layers.map(({ module }) => `${module}.bias`)));
    this.#run = network.open(to);
    this.#penalised = keep(Tensor.zeros([1], { device: to.device }));
  }

  /** All that learns: weights, and then the clips of quantized inputs. */
  get parameters(): readonly Parameter[] {
    const weights = [...this.weights].map(([name, tensor]): Parameter => ({ role: "weight", name, tensor }));
    return [...weights, ...[...this.inputs].flatMap(([module, { parameters }]) => parametersOf(module, parameters))];
  }

  /** Makes the operands of a step from the weights as they are. */
  prepare(): void {
    this.#penalised.zero_();
    this.#operands.prepare(this.weights, (name) => this.#typeOf(name));
  }

  /** Carries the gradients that the operands collected to the weights. */
  finish(): void {
    this.#operands.finish();
  }

  /** Frees the operands. */
  release(): void {
    this.#operands.release();
  }

  /** The penalties of a step so far; waits for the device. */
  get penalised(): number {
    return this.#penalised.item();
  }

  /** Adds the gradients of some sequences to those of the operands, and gives the objective's loss of them. */
  descend(objective: OutputObjective, { ids, shape, part, weight, share }: Sequences): number {
    const { start, units, end } = this.#opened();
    const recomputed = this.network.units.map((plan, i) => ({
      forward: (x: Ports) => this.#runUnit(plan, units[i] as UnitWeights, x, null),
      backward: (before: Ports, gradients: Ports) =>
        this.#throughUnit(plan, units[i] as UnitWeights, before, gradients, share),
    }));
    return descendThroughUnits(
      recomputed,
      () => start.run(ids, shape),
      end,
      (output) => objective.descend(end.head, output, part, weight),
      (gradients) =>
        scope(() => {
          const first = start.run(ids, shape);
          const written = Object.entries(gradients);
          backward(
            written.map(([name]) => portOf(first, name)),
            written.map(([, gradient]) => gradient),
          );
        }),
    );
  }

  /** The objective's loss of some sequences, with the weights as `prepare` found them. */
  measure(objective: OutputObjective, sequences: Omit<Sequences, "share">): number {
    return this.#through(sequences, (head, hidden) =>
      objective.measure(head, hidden, sequences.part, sequences.weight),
    );
  }

  /** Runs some sequences without quantized inputs, and shows the input of every Linear, by module name. */
  observe({ ids, shape }: Pick<Sequences, "ids" | "shape">, see: (module: string, input: Tensor) => void): void {
    const { start, units } = this.#opened();
    noGrad(() =>
      scope(() => {
        this.network.units.reduce(
          (ports, plan, i) => {
            const modules = modulesOf(plan);
            return scope(() =>
              this.#run.run(plan, units[i] as UnitWeights, ports, {
                observe: (name, input) => see(modules.get(name) as string, input),
              }),
            );
          },
          start.run(ids, shape),
        );
      }),
    );
  }

  dispose(): void {
    this.release();
    disposeAll(this.weights.values());
    for (const input of this.inputs.values()) input.dispose();
    this.#penalised.dispose();
    this.#run[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  // Views of the operands, which stay theirs: nobody disposes what this opens.
  #opened(): Opened {
    return this.#open((name) => this.#operands.get(name));
  }

  #open(source: TensorSource): Opened {
    return {
      start: this.network.begin(source),
      units: this.network.units.map((plan) => loadUnit(source, plan)),
      end: this.network.end(source),
    };
  }

  // Gains of norms stay in fp32: what multiplies in another dtype rounds them itself. Beside them only biases of Linears
  // have one dimension.
  #typeOf(name: string): DType {
    const isNorm = this.weights.get(name)?.shape.length === 1 && !this.#biases.has(name);
    return isNorm ? "float32" : this.to.dtype;
  }

  #through<T>(
    { ids, shape }: Pick<Sequences, "ids" | "shape">,
    read: (head: NetworkEnd["head"], hidden: Tensor) => T,
  ): T {
    const { start, units, end } = this.#opened();
    return noGrad(() =>
      scope(() => {
        const output = this.network.units.reduce(
          (ports, plan, i) => scope(() => this.#runUnit(plan, units[i] as UnitWeights, ports, null)),
          start.run(ids, shape),
        );
        return read(end.head, portOf(output, end.port));
      }),
    );
  }

  // From the gradients of a unit's output to those of its input and of its operands.
  #throughUnit(plan: UnitPlan, weights: UnitWeights, input: Ports, gradients: Ports, share: number): Ports {
    return mapPorts(
      scope(() => {
        const leaves = mapPorts(input, (tensor) => tensor.detach().requiresGrad_());
        const penalties: Tensor[] = [];
        const output = this.#runUnit(plan, weights, leaves, penalties);
        const written = Object.entries(gradients).filter(([name]) => plan.writes.includes(name));
        const penalty = penalties.length === 0 ? null : Tensor.stack(penalties).sum().mul(share);
        if (penalty !== null) noGrad(() => this.#penalised.add_(penalty.detach()));
        backward(
          [...written.map(([name]) => portOf(output, name)), ...(penalty === null ? [] : [penalty])],
          [
            ...written.map(([, gradient]) => gradient),
            ...(penalty === null ? [] : [Tensor.ones(penalty.shape, { device: this.to.device })]),
          ],
        );
        return gradientsOfInputs(leaves, gradients, plan.writes);
      }),
      keep,
    );
  }

  #runUnit(plan: UnitPlan, weights: UnitWeights, x: Ports, penalties: Tensor[] | null): Ports {
    const modules = modulesOf(plan);
    return this.#run.run(plan, weights, x, {
      product: (name, input, { weight, bias }) => {
        const output = (this.inputs.get(modules.get(name) as string)?.apply(input) ?? input).linear(weight, bias);
        if (penalties !== null && this.penalty !== null) penalties.push(this.penalty(output));
        return output;
      },
    });
  }
}

function modulesOf({ layers }: UnitPlan): ReadonlyMap<string, string> {
  return new Map(layers.map(({ name, module }) => [name, module]));
}

function disposeAll(tensors: Iterable<Tensor>): void {
  for (const tensor of tensors) tensor.dispose();
}
