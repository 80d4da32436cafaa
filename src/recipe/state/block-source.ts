import { ReadBuffer } from "../../checkpoint/read-buffer.js";
import {
  blockTensors,
  type LinearRole,
  linearName,
  linearRoles,
  loadBlock,
  loadTensor,
  RotaryTable,
} from "../../network/index.js";
import { codesOf } from "../../quant/from-quantized-weight.js";
import { quantizerFrom, TokenQuantizer } from "../../quant/input/activation.js";
import { FixedCodes } from "../../quant/weight-path/fixed-codes.js";
import { QuantizedBlock } from "../../reconstruct/quantized-block.js";
import { QuantizedLayer } from "../../reconstruct/quantized-layer.js";
import { keep, scope, Tensor } from "../../tensor/index.js";
import { type LayerSchemes, resolveSchemes } from "../job/layer-schemes.js";
import type { RecipeJob, RecipeResults } from "../job/recipe-job.js";
import { EarlyTensors } from "./early-tensors.js";

/** Opens the blocks of a job one by one, with a layer for every Linear that is to be quantized. */
export class BlockSource {
  readonly schemes: LayerSchemes;
  readonly #rotary: RotaryTable | null;
  readonly #buffer = new ReadBuffer();
  readonly #early: EarlyTensors;

  constructor(
    private readonly job: RecipeJob,
    /** Longest sequence that will run through the blocks. */
    length: number,
  ) {
    const { spec, device, dtype } = job;
    this.#early = new EarlyTensors(job.checkpoint);
    this.schemes = resolveSchemes(spec, job.scheme, job.options.overrides);
    this.#rotary = RotaryTable.create(spec.positions, spec.attention.headDim, length, device, dtype);
  }

  /**
   * Block `index`, its weights in fp32 until `castWeights`. Inputs quantized per token need no
   * calibration, so their quantizers are there from the start; `learn` says whether they train.
   */
  open(index: number, learn: boolean): QuantizedBlock {
    const { checkpoint, spec, device, dtype, gradients, scheme, options } = this.job;
    const placement = { device, dtype: "float32", buffer: this.#buffer } as const;
    const weights = loadBlock(
      (name, shape) => loadTensor(checkpoint, name, shape, placement, this.#early.get(name)),
      spec,
      index,
    );
    const layers = new Map(
      linearRoles(spec).flatMap((role) => {
        const name = linearName(spec, index, role);
        const layerScheme = this.schemes.get(name);
        if (layerScheme === null || layerScheme === undefined) return [];
        const layer = new QuantizedLayer(name, layerScheme, dtype, gradients);
        if (scheme.activationBits < 16 && options.activation.granularity === "token") {
          layer.quantizeInput(new TokenQuantizer(scheme.activationBits, device, { learn }));
        }
        return [[role, layer] as const];
      }),
    );
    return new QuantizedBlock(index, spec, weights, layers, { rotary: this.#rotary });
  }

  /** Says which blocks will be opened next, so that the disk reads them meanwhile, and `readOn` the first of them. */
  willOpen(first: number, last: number): void {
    const { checkpoint, spec } = this.job;
    const count = Math.max(0, Math.min(last, spec.blocks - 1) - first + 1);
    const blocks = Array.from({ length: count }, (_, i) => [...blockTensors(spec, first + i).keys()]);
    if (count > 0) checkpoint.willRead(blocks.flat());
    this.#early.announce(blocks[0] ?? []);
  }

  /** Reads on for about so many seconds what the next block is made of, while a device computes. */
  readOn(seconds: number): void {
    // The CPU's tensors view what was read, and buffers are used again.
    if (this.job.device !== "cpu") this.#early.readOn(seconds);
  }

  /**
   * Block `index` once its codes are chosen, ready to learn other scales: what was handed over in place of the
   * checkpoint's. Weights that codes stand for are empty tensors, which nobody reads.
   */
  openFinished(index: number, results: RecipeResults, learn: boolean): QuantizedBlock {
    const { checkpoint, spec, device, dtype, scheme, options } = this.job;
    const layers = new Map<LinearRole, QuantizedLayer>();
    const coded = new Set<string>();
    for (const role of linearRoles(spec)) {
      const name = linearName(spec, index, role);
      const layerScheme = this.schemes.get(name);
      if (layerScheme === null || layerScheme === undefined) continue;
      const layer = new QuantizedLayer(name, layerScheme, dtype);
      scope(() => layer.learn(new FixedCodes(codesOf(results.readLinear(name), device))));
      const input = results.activationOf(name);
      if (scheme.activationBits < 16 && input !== null) {
        const { granularity } = options.activation;
        layer.quantizeInput(quantizerFrom(granularity, scheme.activationBits, input, device, { learn }));
      }
      layers.set(role, layer);
      coded.add(`${name}.weight`);
    }
    const weights = loadBlock(
      (name, shape) =>
        coded.has(name)
          ? keep(Tensor.zeros([0], { device, dtype }))
          : loadTensor(checkpoint, name, shape, { device, dtype }, results.readPlain(name)),
      spec,
      index,
    );
    return new QuantizedBlock(index, spec, weights, layers, { rotary: this.#rotary });
  }

  dispose(): void {
    this.#rotary?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
