import { createPortStore, type PortStore } from "../../../calibration/port-store.js";
import { DecoderNetwork, type DecoderSpec, decoderUnits, loadUnit, type UnitPlan } from "../../../network/index.js";
import { searchRange } from "../../../quant/grid/range.js";
import { TokenQuantizer } from "../../../quant/input/activation.js";
import type { Scheme } from "../../../quant/scheme.js";
import { CodeUnitRounding } from "../../../quant/weight-path/code-unit-rounding.js";
import { microBatch, stepBatch } from "../../../recipe/job/micro-batch.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import { reconstructionError } from "../../../reconstruct/objective/objective.js";
import { QuantizedLayer } from "../../../reconstruct/quantized-layer.js";
import { QuantizedUnit } from "../../../reconstruct/quantized-unit.js";
import { overTargets } from "../../../reconstruct/reconstruct.js";
import { SequenceParts } from "../../../reconstruct/sequence-parts.js";
import { TrainingStep } from "../../../reconstruct/training/training-step.js";
import { type Device, type DType, keep, noGrad, scope, Tensor } from "../../../tensor/index.js";
import { measureFlops } from "../../machine/device.js";
import { ProcessorLoad } from "../../machine/processor-load.js";
import type { RunOptions } from "../../options/options.js";
import { blockExtents } from "../block-extents.js";
import { secondsOfChoosing } from "./choosing-seconds.js";
import type { MachineSpeed } from "./machine-speed.js";
import { quadraticSeconds } from "./quadratic-seconds.js";
import { timed } from "./timed.js";

/** What the speed of a run depends on. */
export interface SpeedInput {
  readonly options: RunOptions;
  readonly scheme: Scheme;
  readonly spec: DecoderSpec;
  readonly device: Device;
  readonly dtype: "float32" | "bfloat16";
  /** Where a store could lie; none is made on the disk. */
  readonly scratch: string;
}

/** A block of more weights is measured at a half, a quarter, ... of its width: products of that size run at full speed. */
const MOST_WEIGHTS = { cpu: 12e6, gpu: 260e6 } as const;
/** Products and fake quantization that are measured take about so many seconds each. */
const SECONDS = 0.4;

/**
 * Measures in one to two seconds what a run does most, with the model's own kernels, shapes and dtype: a block of random
 * weights forwards, and, where the recipe trains, its whole optimisation step at two numbers of tokens, which tells what
 * tokens take from what weights take.
 */
export function measureSpeed(input: SpeedInput): MachineSpeed {
  const { device, dtype, options } = input;
  const load = new ProcessorLoad();
  const flops = measureFlops(device, dtype);
  const exactFlops = dtype === "float32" ? flops : measureFlops(device, "float32");
  const scheme = measurable(input.scheme, input.spec);
  const spec = narrowed(input.spec, MOST_WEIGHTS[device === "cpu" ? "cpu" : "gpu"]);
  const recipe = recipeOf(options.recipe);
  const cost = recipe.cost(options);
  const { moments } = cost;
  const trains = cost.trains || recipe.stages !== undefined;
  const context = Math.min(options.context, Math.max(64, Math.round((SECONDS * flops) / (24 * weightsIn(spec)))));
  const sequences = Math.max(
    1,
    Math.min(microBatch(options, stepBatch(recipe, options)), Math.floor((2 * options.context) / context)),
  );
  using block = new MeasuredBlock({ ...input, scheme, spec }, context, sequences);
  const forward = block.forward();
  const weights = weightsIn(spec);
  const passSeconds = block.launchingPass();
  const [training, perWeight, stepSeconds] =
    trains && recipe.trainsLinears !== false ? block.training() : [3 * forward, 0, 3 * passSeconds];
  const columns = choosingColumns(spec.hiddenSize, scheme);
  const choosing = secondsOfChoosing(columns, moments === "block" ? cost.columns === true : moments === "site", {
    ...input,
    scheme,
  });
  return {
    ...{ flops, exactFlops, context, choosingColumns: columns },
    ...{ choosing: choosing.weight, choosingColumn: choosing.column },
    launching: { pass: passSeconds, step: stepSeconds },
    quadratic: quadraticSeconds(columns, cost.quadraticSteps ?? 0, exactFlops, { ...input, scheme }),
    forward: forward / weights,
    training: training / weights,
    perWeight: perWeight / weights,
    load: load.share(),
  };
}

/** One block of random weights, and streams of random activations at its input and output. */
class MeasuredBlock implements Disposable {
  readonly #block: QuantizedUnit;
  readonly #stores: readonly PortStore[];
  readonly #running: Disposable;
  readonly #parts: SequenceParts;

  constructor(
    private readonly input: SpeedInput,
    private readonly context: number,
    private readonly sequences: number,
  ) {
    const { spec, device, dtype, scheme, scratch, options } = input;
    const gradients = options.compute.gradients === "fp8" ? "fp8" : "full";
    const network = new DecoderNetwork(spec);
    const running = network.open({ device, dtype, length: context });
    this.#running = running;
    const [unit] = network.units as readonly [UnitPlan];
    const random = (_name: string, size: readonly number[]): Tensor =>
      keep(scope(() => (size.length === 1 ? Tensor.ones(size, { device }) : Tensor.randn(size, { device }).mul(0.02))));
    const layers = new Map(
      unit.layers.map(({ name, module }) => [name, new QuantizedLayer(module, scheme, dtype, gradients)]),
    );
    this.#block = new QuantizedUnit(unit, running, loadUnit(random, unit), layers);
    if (scheme.activationBits < 16) {
      for (const layer of layers.values()) {
        layer.quantizeInput(new TokenQuantizer(scheme.activationBits, device, { learn: false }));
      }
    }
    this.#parts = new SequenceParts(sequences, () => {});
    const shape = { sequences, tokens: context, ports: network.ports(context) };
    const place = { dtype, device, scratch };
    this.#stores = [createPortStore(shape, "device", place), createPortStore(shape, "device", place)];
    noGrad(() =>
      scope(() => {
        const x = Tensor.randn([sequences, context, spec.hiddenSize], { device }).to(dtype);
        for (const store of this.#stores) store.write(0, { x });
      }),
    );
    this.#block.castWeights(dtype);
  }

  /** Seconds of a token without gradients. */
  forward(): number {
    const all = Array.from({ length: this.sequences }, (_, i) => i);
    const [store] = this.#stores as [PortStore, PortStore];
    const once = (): void => noGrad(() => scope(() => void this.#block.forwardFull(store.read(all))));
    return this.#median(once) / (this.sequences * this.context);
  }

  /** Seconds of a pass of next to no tokens on a device; 0 on the CPU, where they are next to none. */
  launchingPass(): number {
    if (this.input.device === "cpu") return 0;
    const [store] = this.#stores as [PortStore, PortStore];
    const few = shortened(store, Math.min(FEW_TOKENS, this.context));
    return this.#median(() => noGrad(() => scope(() => void this.#block.forwardFull(few.read([0])))));
  }

  /** Seconds of a token in an optimisation step, those of the step itself, and of a short step that is launched part by part. */
  training(): readonly [token: number, step: number, launching: number] {
    const { scheme, device, dtype, options } = this.input;
    for (const [name, layer] of this.#block.layers) {
      const weight = this.#block.exactWeight(name);
      noGrad(() =>
        scope(() => {
          const grid = searchRange(weight.to("float32"), scheme, layer.name, { candidates: 1 });
          layer.learn(new CodeUnitRounding(device === "cpu" ? weight.to("float32") : weight.to(dtype as DType), grid));
        }),
      );
    }
    const loss = overTargets((target, actual) => reconstructionError(target, actual, options.window.loss));
    const [source, target] = this.#stores as [PortStore, PortStore];
    let launching = 0;
    const seconds = (context: number): number => {
      const cut = [source, target].map((store) => shortened(store, context));
      const plans = Array.from({ length: MOST_STEPS }, () => ({
        indices: Array.from({ length: this.sequences }, (_, i) => i),
        schedule: 1e-3,
        penalty: [0, 1] as const,
      }));
      const settings = { epochs: MOST_STEPS, batch: this.sequences, parts: this.#parts, seed: 0, loss };
      using step = new TrainingStep([this.#block], cut[0] as PortStore, cut.slice(1), plans, {
        ...settings,
        rates: { rounding: 1e-6, scale: 1e-6, zeroPoint: 1e-6, input: 1e-6 },
        finalRate: 1,
      });
      // A device records a step behind two that run as they are, the second of which tells what launching takes.
      const warmUp = device === "cpu" ? 0 : 2;
      const asTheyAre = Array.from({ length: warmUp }, () => timed(device, () => step.run()));
      launching = asTheyAre.at(-1) ?? 0;
      return this.#median(() => step.run(), device === "cpu" ? 1 : 2, MOST_STEPS - 2 * warmUp);
    };
    const short = Math.max(16, Math.floor(this.context / 4));
    // Sequences so short are all step.
    if (short >= this.context) {
      const token = seconds(this.context) / (this.sequences * this.context);
      return [token, 0, launching];
    }
    // The short ones last: they tell what launching takes.
    const all = seconds(this.context);
    const few = seconds(short);
    const token = Math.max(all / 2, all - few) / (this.sequences * (this.context - short));
    const cut = Math.min(token, all / (this.sequences * this.context));
    return [cut, Math.max(0, all - cut * this.sequences * this.context), launching];
  }

  [Symbol.dispose](): void {
    this.#block.dispose();
    for (const store of this.#stores) store.dispose();
    this.#running[Symbol.dispose]();
  }

  // The median of what `work` takes, as often as fits into the time that there is.
  #median(work: () => void, warmUp = 1, most = 64): number {
    const { device } = this.input;
    let first = 0;
    for (let i = 0; i < warmUp; i++) first = timed(device, work);
    const times = [first];
    // A device loads kernels at their first use, from a disk that may not have read them since the machine began: seconds, once.
    const least = device === "cpu" ? 1 : DEVICE_STEPS;
    for (let spent = first; (spent < SECONDS || times.length < least) && times.length < most; ) {
      const seconds = timed(device, work);
      times.push(seconds);
      spent += seconds;
    }
    // The first of several sets things up.
    const counted = (times.length > 2 ? times.slice(1) : times).sort((a, b) => a - b);
    return counted[counted.length >> 1] as number;
  }
}

/** Steps at least that are measured on a device, the first of which is not counted. */
const DEVICE_STEPS = 4;
/** Tokens of a pass that is nothing but its launches. */
const FEW_TOKENS = 16;
/** Steps that a measurement has plans for. */
const MOST_STEPS = 40;

// The first tokens of every sequence of a store.
function shortened(store: PortStore, context: number): PortStore {
  const cut = (read: () => ReturnType<PortStore["read"]>): ReturnType<PortStore["read"]> =>
    Object.fromEntries(Object.entries(read()).map(([name, port]) => [name, port.narrow(1, 0, context)]));
  return {
    ...store,
    shape: { ...store.shape, tokens: context },
    read: (indices, places, names) => cut(() => store.read(indices, places, names)),
  };
}

function choosingColumns(hidden: number, { groupSize }: Scheme): number {
  if (groupSize === null) return Math.min(512, hidden);
  return Math.min(hidden, Math.max(groupSize, Math.floor(512 / groupSize) * groupSize));
}

// With groups where every Linear's columns are whole ones of them; a run may leave those out that are not.
function measurable(scheme: Scheme, spec: DecoderSpec): Scheme {
  const columns = blockExtents(spec).flatMap(({ inputs }) => inputs);
  const whole = columns.every((count) => scheme.groupSize === null || count % scheme.groupSize === 0);
  return whole ? scheme : { ...scheme, groupSize: null };
}

/** Weights of the first block's Linears. */
function weightsIn(spec: DecoderSpec): number {
  const layers = decoderUnits({ ...spec, blocks: spec.blocks.slice(0, 1) }).flatMap((unit) => unit.layers);
  return layers.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
}

// The first block at a half of its width, again and again until it has few enough weights.
function narrowed(spec: DecoderSpec, most: number): DecoderSpec {
  const [block] = spec.blocks;
  if (block === undefined || weightsIn(spec) <= most || spec.hiddenSize % 1024 !== 0) return spec;
  const { attention, mlp } = block;
  if (attention.kind !== "softmax" || attention.kvHeads % 2 !== 0) return spec;
  const fewer = attention.kvHeads / 2;
  const half = {
    ...block,
    attention: { ...attention, heads: (fewer * attention.heads) / attention.kvHeads, kvHeads: fewer },
    mlp: { ...mlp, width: Math.ceil(mlp.width / 512) * 256 },
  };
  return narrowed({ ...spec, hiddenSize: spec.hiddenSize / 2, blocks: [half] }, most);
}
