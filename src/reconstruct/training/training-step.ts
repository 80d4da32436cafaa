import { mapPorts, type PortStore, type Ports, portOf } from "../../calibration/port-store.js";
import { linearOf } from "../../network/index.js";
import { parameterGroups } from "../../quant/parameter.js";
import {
  Adam,
  allFinite,
  backward,
  type Device,
  DeviceGraph,
  groupsAtOnce,
  isOutOfMemory,
  keep,
  noGrad,
  scope,
  Tensor,
  useOwnStream,
} from "../../tensor/index.js";
import { backwardThroughPaths, type QuantizedLayer } from "../quantized-layer.js";
import type { QuantizedUnit } from "../quantized-unit.js";
import type { ReconstructionOptions } from "../reconstruction-options.js";
import { WARM_UP } from "./recorded-step.js";
import { windowOutput } from "./window-output.js";
import { neededPorts, writtenPorts } from "./window-ports.js";

/** What differs from one step to the next. */
export interface StepPlan {
  /** Sequences of the batch. */
  readonly indices: readonly number[];
  /** Factor of every rate. */
  readonly schedule: number;
  /** The rounding penalty's weight in the loss and its exponent. */
  readonly penalty: readonly [weight: number, exponent: number];
}

/** What a step came to. */
export interface StepOutcome {
  /** Reconstruction loss, all branches. */
  readonly loss: number;
  /** Whether loss and gradients were; else the step changed nothing. */
  readonly finite: boolean;
}

// Experts that are computed one after the other wait for the device, which can't be recorded.
function waitsForNothing({ plan, weights }: QuantizedUnit): boolean {
  return plan.layers.every(({ name, experts, rows, columns }) => {
    const { device, dtype } = linearOf(weights, name).weight;
    return experts === undefined || groupsAtOnce(device, dtype, [rows / experts, columns]);
  });
}

/**
 * The optimisation step of a window, over tensors that stay in place: inputs, targets and what changes from step to step
 * lie in them. So on a GPU it is recorded once and replayed; nothing in it waits for the device, which says what steps
 * came to when it is asked.
 */
export class TrainingStep implements Disposable {
  readonly #device: Device;
  readonly #layers: readonly QuantizedLayer[];
  readonly #learnt: readonly Tensor[];
  readonly #adam: Adam;
  /** Tensors that stay: see the constructor. */
  readonly #input: Ports;
  readonly #targets: readonly Ports[];
  readonly #places: Tensor;
  readonly #paces: Tensor;
  readonly #pace: Tensor;
  readonly #outcomes: Tensor;
  readonly #outcome: Tensor;
  readonly #recordable: boolean;
  #graph: DeviceGraph | null = null;
  /** The step from which on steps are recorded, counted from 0. */
  #recordedFrom = WARM_UP;
  #done = 0;

  constructor(
    private readonly blocks: readonly QuantizedUnit[],
    private readonly input: PortStore,
    private readonly targets: readonly PortStore[],
    private readonly plans: readonly StepPlan[],
    private readonly options: ReconstructionOptions,
  ) {
    const parameters = blocks.flatMap((block) => block.parameters);
    this.#layers = blocks.flatMap((block) => block.trained);
    this.#learnt = parameters.map(({ tensor }) => tensor);
    this.#device = this.#learnt[0]?.device ?? "cpu";
    this.#recordable = useOwnStream(this.#device) && blocks.every(waitsForNothing);
    this.#adam = new Adam(parameterGroups(parameters, options.rates));
    const { batch } = options;
    const place = (store: PortStore, names?: ReadonlySet<string>): Ports => {
      const first = Array.from({ length: Math.min(batch, store.shape.sequences) }, (_, i) => i);
      return mapPorts(
        scope(() => store.read(first, undefined, names)),
        keep,
      );
    };
    this.#input = place(input, neededPorts(blocks));
    this.#targets = targets.map((target) => place(target, writtenPorts(blocks)));
    const indices = plans.flatMap((plan) => Array.from({ length: batch }, (_, i) => BigInt(plan.indices[i] ?? 0)));
    this.#places = this.#table(BigInt64Array.from(indices), [plans.length, batch]);
    const paces = plans.flatMap((plan, i) => [...this.#adam.paceAt(i + 1, plan.schedule), ...plan.penalty]);
    this.#paces = this.#table(Float32Array.from(paces), [plans.length, 4]);
    this.#pace = keep(Tensor.zeros([4], { device: this.#device }));
    this.#outcomes = keep(Tensor.zeros([plans.length, 2], { device: this.#device }));
    this.#outcome = keep(Tensor.zeros([2], { device: this.#device }));
  }

  /** Whether the caller should let several steps run before it asks for their outcomes. */
  get runsAhead(): boolean {
    return this.#device !== "cpu";
  }

  /**
   * Launches the step after the last one that succeeded.
   *
   * @throws TensorError when memory runs out; then it has changed nothing and can be called again, with smaller parts
   */
  run(): void {
    const at = this.#done;
    const plan = this.plans[at];
    if (plan === undefined) throw new RangeError("all steps of the plan were run");
    try {
      this.#fill(plan.indices);
      const whole = plan.indices.length === this.options.batch;
      const graph = whole && this.#recordable && at >= this.#recordedFrom ? this.#recorded() : null;
      if (graph === null) this.#compute(plan.indices.length);
      else graph.replay();
    } catch (error) {
      if (isOutOfMemory(error)) {
        this.#release();
        // The libraries set themselves up for smaller parts first.
        this.#recordedFrom = Math.max(this.#recordedFrom, at + 1);
      }
      throw error;
    }
    noGrad(() => scope(() => void this.#outcomes.select(0, at).copy_(this.#outcome)));
    this.#done++;
  }

  /** What steps [`first`, `last`) came to; waits for the device. */
  outcomes(first: number, last: number): StepOutcome[] {
    const values = noGrad(() => scope(() => this.#outcomes.narrow(0, first, last - first).toFloat32Array()));
    return Array.from({ length: last - first }, (_, i) => {
      const loss = values[2 * i] as number;
      return { loss, finite: values[2 * i + 1] === 1 && Number.isFinite(loss) };
    });
  }

  dispose(): void {
    this.#dropRecording();
    this.#adam.dispose();
    const ports = [this.#input, ...this.#targets].flatMap((each) => Object.values(each));
    const owned = [...ports, this.#places, this.#paces];
    for (const tensor of [...owned, this.#pace, this.#outcomes, this.#outcome]) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  // Puts what the next step reads in its place.
  #fill(indices: readonly number[]): void {
    noGrad(() =>
      scope(() => {
        const places = this.#places.select(0, this.#done).narrow(0, 0, indices.length);
        const fill = (to: Ports, from: PortStore): void => {
          const read = from.read(indices, places, new Set(Object.keys(to)));
          for (const [name, port] of Object.entries(to)) {
            port.narrow(0, 0, indices.length).copy_(portOf(read, name));
          }
        };
        fill(this.#input, this.input);
        this.targets.forEach((target, i) => void fill(this.#targets[i] as Ports, target));
        this.#pace.copy_(this.#paces.select(0, this.#done));
      }),
    );
  }

  // The recording of a whole batch; null where a single sequence at once leaves no room for one, which takes memory beside
  // what the allocator keeps for steps that run as they are.
  #recorded(): DeviceGraph | null {
    if (this.#graph !== null) return this.#graph;
    // The operands of the step before would stay beside those of the recording.
    this.#release();
    try {
      this.#graph = DeviceGraph.record(this.#device, () => this.#compute(this.options.batch));
    } catch (error) {
      if (!isOutOfMemory(error) || this.options.parts.size > 1) throw error;
      this.#release();
      this.#recordedFrom = Number.POSITIVE_INFINITY;
    }
    return this.#graph;
  }

  // Frees all that the next step makes anew.
  #release(): void {
    for (const block of this.blocks) block.release();
    this.#dropRecording();
  }

  #dropRecording(): void {
    // What a recorded step made lies in the recording's memory.
    for (const parameter of this.#learnt) parameter.clearGrad();
    this.#graph?.dispose();
    this.#graph = null;
  }

  #compute(sequences: number): void {
    const { parts, loss } = this.options;
    // What a step that was cut short has left.
    for (const parameter of this.#learnt) parameter.clearGrad();
    const penalty = this.#pace.narrow(0, 2, 2);
    const losses: Tensor[] = [];
    try {
      for (const block of this.blocks) block.prepare(penalty);
      for (let first = 0; first < sequences; first += parts.size) {
        const count = Math.min(parts.size, sequences - first);
        scope(() => {
          const of = (whole: Ports): Ports => mapPorts(whole, (port) => port.narrow(0, first, count));
          const sum = loss(windowOutput(this.blocks, of(this.#input)), this.#targets.map(of));
          const part = count === sequences ? sum : sum.mul(count / sequences);
          backward(part);
          losses.push(keep(part.detach()));
        });
      }
      backwardThroughPaths(this.#layers, () => this.blocks.flatMap((block) => block.collected()));
      noGrad(() => scope(() => this.#apply(losses)));
    } finally {
      for (const part of losses) part.dispose();
      penalty.dispose();
    }
  }

  #apply(losses: readonly Tensor[]): void {
    const [only] = losses;
    const loss = losses.length === 1 ? (only as Tensor) : Tensor.stack(losses).sum();
    const finite = allFinite([loss.reshape([1]), ...this.#gradientsToCheck()]);
    this.#outcome.narrow(0, 0, 1).copy_(loss.reshape([1]));
    this.#outcome.narrow(0, 1, 1).copy_(finite);
    this.#adam.stepAt(this.#pace.narrow(0, 0, 2), finite);
  }

  #gradientsToCheck(): Tensor[] {
    const telling = this.blocks.flatMap((block) => block.telling);
    return telling.map(({ tensor }) => tensor.grad).filter((gradient) => gradient !== null);
  }

  #table(values: Float32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>, shape: readonly number[]): Tensor {
    return keep(scope(() => Tensor.from(values, shape).to(this.#device)));
  }
}
