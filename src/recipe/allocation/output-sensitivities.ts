import { createPortStore, mapPorts, type PortStore, type Ports, portOf } from "../../calibration/port-store.js";
import { checkpointSource, type OpenNetwork, standsFor, type UnitPlan } from "../../network/index.js";
import { advance } from "../../reconstruct/advance.js";
import { drawnTokenLoss } from "../../reconstruct/objective/output-objective.js";
import { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { freeOnError, manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { smallerParts } from "../job/fault-warnings.js";
import type { LayerSchemes } from "../job/layer-schemes.js";
import { microBatch, mostAtOnce } from "../job/micro-batch.js";
import type { RecipeEvent, RecipeJob, WarningEvent } from "../job/recipe-job.js";
import { candidatesOf } from "../options/shared/range.js";
import { chooseStorage, openStreams, streamShape } from "../state/streams.js";
import { ProbedUnit } from "./probed-unit.js";

/** What the network's output loses with each width of a Linear, all else in full precision: nats a token, by width. */
export type Losses = ReadonlyMap<number, number>;

/** Tokens that the estimate takes, of the first calibration sequences. */
const TOKENS = 16_384;

/** Clip ratios tried for a group: what more of them gain is the same for every Linear. */
export const RANGE_CANDIDATES = 16;

/** Sequences that the estimate takes of those that there are. */
export function probedSequences(sequences: number, context: number): number {
  return Math.min(sequences, Math.max(1, Math.ceil(TOKENS / context)));
}

/**
 * Estimates how far each Linear moves the probabilities of the next token when its weight is rounded to some widths: their
 * divergence to second order, `E[(g . dW x)^2] / 2` over tokens, where `x` is the Linear's input, `dW` what rounding on the
 * searched range changes, and `g` the gradient of a log-likelihood in its output: that of tokens drawn from the network's own
 * probabilities, so that `g g^T` is on average the Fisher information, whose half is the curvature of the divergence. Takes one
 * pass of the full-precision network forward, which keeps the inputs of all units, and one back, unit by unit.
 * Source: the expansion of Optimal Brain Damage (LeCun et al., NeurIPS 1989) with the Fisher information in the Hessian's place.
 *
 * @param schemes of the Linears that are quantized
 * @param widthsOf the widths that come into question for a Linear
 * @returns by module name
 */
export function* outputSensitivities(
  job: RecipeJob,
  schemes: LayerSchemes,
  widthsOf: (module: string) => readonly number[],
): Generator<RecipeEvent, ReadonlyMap<string, Losses>> {
  const run = new Measurement(job, schemes, widthsOf);
  try {
    yield* run.forward();
    return yield* run.back();
  } finally {
    run.dispose();
  }
}

class Measurement {
  readonly #parts: SequenceParts;
  readonly #warnings: WarningEvent[] = [];
  readonly #tokens: NonNullable<RecipeJob["tokens"]>;
  readonly #network: OpenNetwork;
  /** The input of every unit and the output of the last; on the way back the gradient of what the last one holds. */
  readonly #stores: PortStore[];
  /** Of every unit the sums of the squares of what its sites are given, by the first Linear that reads it. */
  readonly #squares: ReadonlyMap<string, Tensor>[] = [];

  constructor(
    private readonly job: RecipeJob,
    private readonly schemes: LayerSchemes,
    private readonly widthsOf: (module: string) => readonly number[],
  ) {
    const { tokens, network, recipe, options, device, dtype } = job;
    if (tokens === null) throw new TypeError("sensitivities need calibration tokens");
    const { ids, context } = tokens;
    const sequences = probedSequences(tokens.sequences, context);
    this.#tokens = { ids: ids.subarray(0, sequences * context), sequences, context };
    this.#parts = new SequenceParts(microBatch(options, mostAtOnce(recipe, options)), (size) => {
      this.#warnings.push(smallerParts(device, size));
    });
    const storage = chooseStorage(job, streamShape(job, this.#tokens), network.units.length + 1);
    this.#stores = openStreams({ ...job, resume: null }, this.#tokens, ["stream.input"], storage);
    const shape = streamShape(job, this.#tokens);
    this.#network = freeOnError([this], () => {
      for (const _unit of network.units) this.#stores.push(createPortStore(shape, storage, job));
      return network.open({ device, dtype, length: context });
    });
  }

  *forward(): Generator<RecipeEvent, void> {
    for (const [i, unit] of this.job.network.units.entries()) {
      yield* this.#announce(`block ${i}: what it is given`, i);
      using probed = this.#open(unit);
      probed.cast(this.job.dtype);
      const [from, to] = [this.#stores[i] as PortStore, this.#stores[i + 1] as PortStore];
      advance(from, to, this.#parts, (x, part) => {
        this.job.poll();
        return probed.forward(x, part);
      });
      this.#squares.push(probed.takeSquares());
    }
  }

  *back(): Generator<RecipeEvent, ReadonlyMap<string, Losses>> {
    const { job } = this;
    const found = new Map<string, Losses>();
    this.#differentiateOutput();
    for (const unit of [...job.network.units].reverse()) {
      yield* this.#announce(`block ${unit.index}: what its bits are worth`, job.network.units.length - 1 - unit.index);
      using probed = this.#open(unit);
      this.#round(unit, probed);
      probed.cast(job.dtype);
      const output = this.#stores.pop() as PortStore;
      const input = this.#stores.at(-1) as PortStore;
      try {
        this.#parts.each(this.#tokens.sequences, (part) => {
          job.poll();
          noGrad(() =>
            scope(() => input.write(part[0] as number, probed.back(input.read(part), output.read(part), part))),
          );
        });
      } finally {
        output.dispose();
      }
      const { sequences, context } = this.#tokens;
      for (const { name, module } of unit.layers) {
        const losses = probed.losses(name, sequences * context);
        found.set(module, new Map(this.widthsOf(module).map((bits, i) => [bits, losses[i] as number])));
      }
    }
    return found;
  }

  // On ranges like those that the recipe takes: GPTQ weighs each column's error with the mean square of its input.
  #round(unit: UnitPlan, probed: ProbedUnit): void {
    const { recipe, options, dtype } = this.job;
    const weighted = recipe.cost(options).moments !== "none";
    for (const { name, module } of unit.layers) {
      const scheme = this.schemes.get(module);
      if (scheme === null || scheme === undefined) continue;
      const squares = this.#squares[unit.index]?.get(standsFor(unit, name));
      scope(() => {
        const importance = weighted && squares !== undefined ? squares.div(squares.mean().clamp(1e-30)) : null;
        const candidates = Math.min(RANGE_CANDIDATES, candidatesOf(options.range));
        probed.round(name, { scheme, widths: this.widthsOf(module), candidates, importance }, dtype);
      });
    }
  }

  dispose(): void {
    for (const store of this.#stores) store.dispose();
    for (const squares of this.#squares) for (const sum of squares.values()) sum.dispose();
    this.#network?.[Symbol.dispose]();
  }

  // Puts the gradient in the place of the network's output.
  #differentiateOutput(): void {
    const { network, checkpoint, device, dtype, seed } = this.job;
    const end = network.end(checkpointSource(checkpoint, { device, dtype }));
    const output = this.#stores.at(-1) as PortStore;
    const objective = drawnTokenLoss();
    manualSeed(seed);
    try {
      this.#parts.each(this.#tokens.sequences, (part) => {
        this.job.poll();
        scope(() => {
          const ports = output.read(part);
          const { loss, gradient } = objective.descend(end.head, portOf(ports, end.port), part, 1);
          loss.dispose();
          try {
            const zeros = ({ shape, device, dtype }: Tensor): Tensor => Tensor.zeros(shape, { device, dtype });
            const gradients: Ports = mapPorts(ports, (tensor, name) => (name === end.port ? gradient : zeros(tensor)));
            output.write(part[0] as number, gradients);
          } finally {
            gradient.dispose();
          }
        });
      });
    } finally {
      end.dispose();
    }
  }

  #open(unit: UnitPlan): ProbedUnit {
    return new ProbedUnit(this.job, unit, this.#network);
  }

  *#announce(stage: string, done: number): Generator<RecipeEvent, void> {
    this.job.poll();
    yield* this.#warnings.splice(0);
    yield { event: "progress", stage, done, total: this.job.network.units.length };
  }
}
