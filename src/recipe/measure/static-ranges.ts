import type { PortStore } from "../../calibration/port-store.js";
import { firstConsumer, type Site, siteOf, type UnitPlan } from "../../network/index.js";
import { fixedStep, type StepQuantizer } from "../../quant/input/activation.js";
import type { TensorGrid } from "../../quant/input/asymmetric-tensor.js";
import { quantizerFrom } from "../../quant/input/stored-quantizer.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { readNeeded } from "../../reconstruct/training/window-ports.js";
import { type Device, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";
import { calibrateTensorGrids, fixedGrid, learntGrid } from "./tensor-grids.js";

/** Clip ratios tried for a step. */
const CANDIDATES = 40;

/**
 * Finds the step of every Linear's input that is quantized per tensor: the one, of those that clip
 * at 100 % to 20 % of the largest magnitude, whose rounding error is least on the inputs seen.
 */
class StaticRanges {
  readonly #errors = new Map<Site, { readonly largest: number; readonly errors: Float64Array }>();

  constructor(
    private readonly bits: number,
    private readonly unit: UnitPlan,
  ) {}

  /** Takes the inputs of the Linears; the first ones of a site fix the range that is searched for all that share them. */
  observe(layer: string, input: Tensor): void {
    const site = siteOf(this.unit, layer);
    if (firstConsumer(site) !== layer) return;
    noGrad(() =>
      scope(() => {
        const x = input.detach().to("float32");
        const entry = this.#errors.get(site) ?? {
          largest: Math.max(1e-8, x.abs().amax().item()),
          errors: new Float64Array(CANDIDATES),
        };
        this.#errors.set(site, entry);
        // Read together: a device is waited for once.
        const errors = Array.from({ length: CANDIDATES }, (_, i) =>
          scope(() => this.#rounded(x, this.#step(entry.largest, i)).sub(x).square().sum()),
        );
        Tensor.stack(errors)
          .toFloat32Array()
          .forEach((error, i) => {
            entry.errors[i] = (entry.errors[i] as number) + error;
          });
      }),
    );
  }

  /** Gives every layer of the block its quantizer. */
  apply(block: QuantizedUnit, device: Device, quantizer: StepQuantizer): void {
    for (const [name, layer] of block.layers) {
      const entry = this.#errors.get(siteOf(this.unit, name));
      if (entry === undefined) throw new TypeError(`no input of ${layer.name} was observed`);
      const best = entry.errors.indexOf(Math.min(...entry.errors));
      layer.quantizeInput(quantizer(this.bits, this.#step(entry.largest, best), device));
    }
  }

  #step(largest: number, candidate: number): number {
    const ratio = 1 - (0.8 * candidate) / (CANDIDATES - 1);
    return (largest * ratio) / (2 ** (this.bits - 1) - 1);
  }

  #rounded(x: Tensor, step: number): Tensor {
    const top = 2 ** (this.bits - 1) - 1;
    return x
      .div(step)
      .round_()
      .clamp_(-top - 1, top)
      .mul_(step);
  }
}

/** Sequences whose inputs fix the static ranges. */
const CALIBRATION_SEQUENCES = 16;

/**
 * Quantizes a block's inputs per tensor where the job asks for it, from the stream at its input; with the ranges that were
 * learnt with the model where there are some. Those of a graph get an asymmetric grid for each tensor.
 */
export function calibrateStaticInputs(
  job: RecipeJob,
  block: QuantizedUnit,
  stream: PortStore,
  quantizer: StepQuantizer,
): void {
  const { scheme, options, device } = job;
  if (job.network.staticInputs === true) {
    calibrateTensorGrids(job, block, stream, quantizer === fixedStep ? fixedGrid : learntGrid);
    return;
  }
  if (scheme.activationBits === 16 || options.activation.granularity !== "tensor") return;
  if (job.inputGrids !== undefined) {
    takeGrids(job, block, job.inputGrids, quantizer !== fixedStep);
    return;
  }
  const ranges = new StaticRanges(scheme.activationBits, block.plan);
  noGrad(() => {
    for (let i = 0; i < Math.min(CALIBRATION_SEQUENCES, stream.shape.sequences); i++) {
      job.poll();
      scope(() => {
        block.forwardFull(readNeeded(stream, [block], [i]), (layer, x) => ranges.observe(layer, x));
      });
    }
  });
  ranges.apply(block, device, quantizer);
}

function takeGrids(
  { scheme, device }: RecipeJob,
  block: QuantizedUnit,
  grids: ReadonlyMap<string, TensorGrid>,
  learn: boolean,
): void {
  for (const layer of block.layers.values()) {
    const grid = grids.get(layer.name);
    if (grid === undefined) throw new TypeError(`no range of the input of ${layer.name} was learnt`);
    const { scale, zeroPoint } = grid;
    layer.quantizeInput(quantizerFrom("tensor", scheme.activationBits, scale, device, { learn, zeroPoint }));
  }
}
