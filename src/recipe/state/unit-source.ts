import { ReadBuffer } from "../../checkpoint/read-buffer.js";
import { loadTensor, loadUnit, type OpenNetwork, type UnitPlan, unitTensors } from "../../network/index.js";
import { codesOf } from "../../quant/from-quantized-weight.js";
import { TokenQuantizer } from "../../quant/input/activation.js";
import { KeyedQuantizer } from "../../quant/input/keyed.js";
import { quantizerFrom } from "../../quant/input/stored-quantizer.js";
import { FixedCodes } from "../../quant/weight-path/fixed-codes.js";
import { QuantizedLayer } from "../../reconstruct/quantized-layer.js";
import { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { freeOnError, keep, scope, Tensor } from "../../tensor/index.js";
import { type LayerSchemes, resolveSchemes } from "../job/layer-schemes.js";
import type { RecipeJob, RecipeResults } from "../job/recipe-job.js";
import { EarlyTensors } from "./early-tensors.js";

/** Opens the units of a job one by one, with a layer for every Linear that is to be quantized. */
export class UnitSource {
  readonly schemes: LayerSchemes;
  readonly #network: OpenNetwork;
  readonly #buffer = new ReadBuffer();
  readonly #early: EarlyTensors;

  constructor(
    private readonly job: RecipeJob,
    /** Positions of the longest sequence that will run through the units. */
    length: number,
  ) {
    const { network, device, dtype } = job;
    this.#early = new EarlyTensors(job.checkpoint);
    this.schemes = resolveSchemes(network.units, job.scheme, job.options.overrides, job.allocation);
    this.#network = network.open({ device, dtype, length });
  }

  /**
   * Unit `index`, its weights in fp32 until `castWeights`. Inputs quantized per token need no
   * calibration, so their quantizers are there from the start; `learn` says whether they train.
   */
  open(index: number, learn: boolean): QuantizedUnit {
    const { checkpoint, device, dtype, gradients, options } = this.job;
    const unit = this.#unit(index);
    const placement = { device, dtype: "float32", buffer: this.#buffer } as const;
    const weights = loadUnit(
      (name, shape) => loadTensor(checkpoint, name, shape, placement, this.#early.get(name)),
      unit,
    );
    const layers = new Map<string, QuantizedLayer>();
    return freeOnError([weights, { dispose: () => disposeAll(layers) }], () => {
      for (const { name, module, experts } of unit.layers) {
        const layerScheme = this.schemes.get(module);
        if (layerScheme === null || layerScheme === undefined) continue;
        const layer = new QuantizedLayer(module, layerScheme, dtype, gradients, experts);
        layers.set(name, layer);
        const { activationBits } = layerScheme;
        if (
          activationBits < 16 &&
          this.job.network.staticInputs !== true &&
          options.activation.granularity === "token"
        ) {
          layer.quantizeInput(new TokenQuantizer(activationBits, device, { learn }));
        }
      }
      return new QuantizedUnit(unit, this.#network, weights, layers);
    });
  }

  /** Says which units will be opened next, so that the disk reads them meanwhile, and `readOn` the first of them. */
  willOpen(first: number, last: number): void {
    const { checkpoint, network } = this.job;
    const tensors = network.units.slice(first, last + 1).map((unit) => [...unitTensors(unit).keys()]);
    if (tensors.length > 0) checkpoint.willRead(tensors.flat());
    this.#early.announce(tensors[0] ?? []);
  }

  /** Reads on for about so many seconds what the next unit is made of, while a device computes. */
  readOn(seconds: number): void {
    // The CPU's tensors view what was read, and buffers are used again.
    if (this.job.device !== "cpu") this.#early.readOn(seconds);
  }

  /**
   * Unit `index` once its codes are chosen, ready to learn other scales: what was handed over in place of the
   * checkpoint's. Weights that codes stand for are empty tensors, which nobody reads.
   */
  openFinished(index: number, results: RecipeResults, learn: boolean): QuantizedUnit {
    const { checkpoint, device, dtype, network, options } = this.job;
    const unit = this.#unit(index);
    const layers = new Map<string, QuantizedLayer>();
    const coded = new Set<string>();
    return freeOnError([{ dispose: () => disposeAll(layers) }], () => {
      for (const { name, module, experts } of unit.layers) {
        const layerScheme = this.schemes.get(module);
        if (layerScheme === null || layerScheme === undefined) continue;
        const layer = new QuantizedLayer(module, layerScheme, dtype, "full", experts);
        layers.set(name, layer);
        coded.add(`${module}.weight`);
        scope(() => layer.learn(new FixedCodes(codesOf(results.readLinear(module), device))));
        const input = results.activationOf(module);
        const { activationBits } = layerScheme;
        if (activationBits < 16 && input !== null) {
          const granularity = network.staticInputs === true ? "tensor" : options.activation.granularity;
          const zeroPoint = results.zeroPointOf?.(module) ?? null;
          layer.quantizeInput(quantizerFrom(granularity, activationBits, input, device, { learn, zeroPoint }));
        }
        const byStep = results.inputGridOf?.(module) ?? null;
        if (byStep !== null) layer.quantizeInput(new KeyedQuantizer(byStep, device));
      }
      const weights = loadUnit(
        (name, shape) =>
          coded.has(name)
            ? keep(Tensor.zeros([0], { device, dtype }))
            : loadTensor(checkpoint, name, shape, { device, dtype }, results.readPlain(name)),
        unit,
      );
      return new QuantizedUnit(unit, this.#network, weights, layers);
    });
  }

  #unit(index: number): UnitPlan {
    const unit = this.job.network.units[index];
    if (unit === undefined) throw new RangeError(`the network has no unit ${index}`);
    return unit;
  }

  dispose(): void {
    this.#network[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function disposeAll(layers: ReadonlyMap<string, QuantizedLayer>): void {
  for (const layer of layers.values()) layer.dispose();
}
