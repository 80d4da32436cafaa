import { tmpdir } from "node:os";
import { createPortStore, type PortStore, type Ports } from "../../../calibration/port-store.js";
import type { TensorReader } from "../../../checkpoint/tensor-reader.js";
import { checkpointSource, type GraphNetwork, type GraphUnit, loadUnit } from "../../../network/index.js";
import { searchRange } from "../../../quant/grid/range.js";
import { adaRound } from "../../../quant/weight-path/soft-rounding.js";
import type { LayerSchemes } from "../../../recipe/job/layer-schemes.js";
import { learntGrid } from "../../../recipe/measure/tensor-grids.js";
import { QuantizedLayer } from "../../../reconstruct/quantized-layer.js";
import { QuantizedUnit } from "../../../reconstruct/quantized-unit.js";
import { overTargets } from "../../../reconstruct/reconstruct.js";
import { SequenceParts } from "../../../reconstruct/sequence-parts.js";
import { TrainingStep } from "../../../reconstruct/training/training-step.js";
import { type Device, type DType, isOutOfMemory, noGrad, scope, synchronize, Tensor } from "../../../tensor/index.js";
import type { UnitSpeed } from "../time/machine-speed.js";
import { timed } from "../time/timed.js";

/** What is measured, and where. */
export interface UnitSpeedInput {
  readonly network: GraphNetwork;
  readonly schemes: LayerSchemes;
  readonly checkpoint: TensorReader;
  readonly device: Device;
  readonly dtype: DType & ("float32" | "bfloat16");
  /** Examples of a training step; null where nothing is trained. */
  readonly batch: number | null;
}

/** Examples of a step on the CPU, of which few tell what more take. */
const [FEW, MORE] = [1, 4] as const;
/** Examples without gradients at once. */
const PASSING = { cpu: 4, gpu: 32 } as const;
/** Steps that run before one is timed: the first set libraries up, and a device records the third. */
const WARM_UP = { cpu: 1, gpu: 4 } as const;
/** What is short is timed again and again, up to so many times and seconds: other programs come in between. */
const [TIMES, SECONDS] = [9, 0.25] as const;
/** A device gets so much to do before it is waited for: a run launches what follows while it works, too. */
const LAUNCHED = { cpu: 1, gpu: 8 } as const;

/**
 * Measures every unit of a graph: forwards, and by whole optimisation steps as the run will have them, on its own weights. Units
 * alike in operators and shapes are measured once.
 */
export function measureUnits(input: UnitSpeedInput): readonly UnitSpeed[] {
  const { network, checkpoint, device, dtype } = input;
  const source = checkpointSource(checkpoint, { device, dtype: "float32" });
  using open = network.open({ device, dtype, length: 1 });
  const known = new Map<string, UnitSpeed>();
  return network.cut.units.map((unit, index) => {
    const key = keyOf(unit, network.ports(1, index), input.schemes);
    const before = known.get(key);
    if (before !== undefined) return before;
    const layers = new Map<string, QuantizedLayer>();
    for (const { name, module } of unit.plan.layers) {
      const scheme = input.schemes.get(module);
      if (scheme !== undefined && scheme !== null) layers.set(name, new QuantizedLayer(module, scheme, dtype, "full"));
    }
    const measured = new QuantizedUnit(unit.plan, open, loadUnit(source, unit.plan), layers);
    try {
      measured.castWeights(dtype);
      const forward = secondsForward(input, measured);
      const speed = {
        forward,
        ...(input.batch === null || layers.size === 0 ? { step: 0, example: 0 } : training(input, measured)),
      };
      known.set(key, speed);
      return speed;
    } finally {
      measured.dispose();
    }
  });
}

function keyOf(
  { nodes, layers, plan }: GraphUnit,
  ports: Readonly<Record<string, readonly number[]>>,
  schemes: LayerSchemes,
): string {
  const schemesOf = plan.layers.map(({ module }) => schemes.get(module) ?? null);
  return JSON.stringify([
    nodes.map(({ operator }) => operator),
    layers.map(({ shape }) => shape),
    Object.values(ports),
    schemesOf,
  ]);
}

function secondsForward(input: UnitSpeedInput, unit: QuantizedUnit): number {
  const count = PASSING[input.device === "cpu" ? "cpu" : "gpu"];
  return fitting(count, (examples) =>
    noGrad(() =>
      scope(() => {
        const ports = zeros(input, unit, examples);
        const once = (): void => scope(() => void unit.forwardFull(ports));
        // The first time sets things up.
        once();
        return median(input.device, TIMES, once) / examples;
      }),
    ),
  );
}

function training(input: UnitSpeedInput, unit: QuantizedUnit): Pick<UnitSpeed, "step" | "example"> {
  const { device, batch } = input;
  for (const [name, layer] of unit.layers) {
    noGrad(() =>
      scope(() => {
        const weight = unit.exactWeight(name).to("float32");
        layer.learn(adaRound(weight, searchRange(weight, layer.scheme, layer.name, { candidates: 1 }), "sum"));
        const { activationBits: bits } = layer.scheme;
        if (bits < 16) layer.quantizeInput(learntGrid(bits, { scale: 0.1, zeroPoint: 2 ** (bits - 1) }, device));
      }),
    );
  }
  const most = batch ?? 1;
  if (device !== "cpu") {
    const seconds = fitting(most, (examples) => (secondsOfStep(input, unit, examples) * most) / examples);
    return { step: 0, example: seconds / most };
  }
  const few = secondsOfStep(input, unit, FEW);
  if (most <= FEW) return { step: 0, example: few };
  const more = secondsOfStep(input, unit, MORE);
  const example = Math.min(more / MORE, Math.max(more / (2 * MORE), (more - few) / (MORE - FEW)));
  return { step: Math.max(0, more - MORE * example), example };
}

function secondsOfStep(input: UnitSpeedInput, unit: QuantizedUnit, examples: number): number {
  const { device, dtype } = input;
  const place = { dtype, device, scratch: tmpdir() };
  const stores: PortStore[] = [];
  const kind = device === "cpu" ? "cpu" : "gpu";
  const steps = WARM_UP[kind] + TIMES * LAUNCHED[kind];
  const indices = Array.from({ length: examples }, (_, i) => i);
  const plans = Array.from({ length: steps }, () => ({ indices, schedule: 1e-3, penalty: [1e-2, 20] as const }));
  const store = (ports: Ports): PortStore => {
    const shapes = Object.fromEntries(Object.entries(ports).map(([name, { shape }]) => [name, shape.slice(1)]));
    const made = createPortStore({ sequences: examples, tokens: 1, ports: shapes }, "device", place);
    stores.push(made);
    made.write(0, ports);
    return made;
  };
  try {
    const [from, target] = noGrad(() =>
      scope(() => {
        const ports = zeros(input, unit, examples);
        return [store(ports), store(unit.forwardFull(ports))] as const;
      }),
    );
    using step = new TrainingStep([unit], from, [target], plans, {
      ...{ epochs: steps, batch: examples, parts: new SequenceParts(examples, () => {}), seed: 0, finalRate: 1 },
      loss: overTargets((y, actual) => actual.sub(y).square().mean()),
      rates: { rounding: 1e-6, scale: 1e-6, zeroPoint: 1e-6, input: 1e-6 },
    });
    for (let i = 0; i < WARM_UP[kind]; i++) step.run();
    return median(device, TIMES, () => step.run());
  } finally {
    unit.release();
    for (const made of stores) made.dispose();
  }
}

/** What `measure` gives of so many examples, or of a half, a quarter, ... where memory runs out. */
function fitting(examples: number, measure: (examples: number) => number): number {
  try {
    return measure(examples);
  } catch (error) {
    if (!isOutOfMemory(error) || examples === 1) throw error;
  }
  return fitting(Math.ceil(examples / 2), measure);
}

function zeros({ network, device, dtype }: UnitSpeedInput, { index }: QuantizedUnit, examples: number): Ports {
  const types = new Map(network.cut.graph.inputs.map(({ name, dataType }) => [name, dataType]));
  return Object.fromEntries(
    Object.entries(network.ports(1, index)).map(([name, shape]) => {
      const type = types.get(name);
      const whole = type === "int64" || type === "int32";
      return [name, Tensor.zeros([examples, ...shape], { device, dtype: whole ? type : dtype })];
    }),
  );
}

function median(device: Device, most: number, work: () => void): number {
  const times: number[] = [];
  const launched = LAUNCHED[device === "cpu" ? "cpu" : "gpu"];
  synchronize(device);
  for (let spent = 0; times.length < most && spent < SECONDS; ) {
    const seconds = timed(device, () => {
      for (let i = 0; i < launched; i++) work();
    });
    times.push(seconds / launched);
    spent += seconds;
  }
  return times.sort((a, b) => a - b)[times.length >> 1] as number;
}
