import { checkpointSource, linearName, linearRoles, loadBlock, RotaryTable } from "../model/index.js";
import { TokenQuantizer } from "../quant/activation.js";
import { QuantizedBlock } from "../window/quantized-block.js";
import { QuantizedLayer } from "../window/quantized-layer.js";
import { type LayerSchemes, resolveSchemes } from "./layer-schemes.js";
import type { RecipeJob } from "./recipe-job.js";

/** Opens the blocks of a job one by one, with a layer for every Linear that is to be quantized. */
export class BlockSource {
  readonly schemes: LayerSchemes;
  readonly #rotary: RotaryTable | null;

  constructor(
    private readonly job: RecipeJob,
    /** Longest sequence that will run through the blocks. */
    length: number,
  ) {
    const { spec, device, dtype } = job;
    this.schemes = resolveSchemes(spec, job.scheme, job.options.overrides);
    this.#rotary = RotaryTable.create(spec.positions, spec.attention.headDim, length, device, dtype);
  }

  /**
   * Block `index`, its weights in fp32 until `settle`. Inputs quantized per token need no
   * calibration, so their quantizers are there from the start; `learn` says whether they train.
   */
  open(index: number, learn: boolean): QuantizedBlock {
    const { checkpoint, spec, device, dtype, scheme, options } = this.job;
    const weights = loadBlock(checkpointSource(checkpoint, { device, dtype: "float32" }), spec, index);
    const layers = new Map(
      linearRoles(spec).flatMap((role) => {
        const name = linearName(spec, index, role);
        const layerScheme = this.schemes.get(name);
        if (layerScheme === null || layerScheme === undefined) return [];
        const layer = new QuantizedLayer(name, layerScheme, dtype);
        if (scheme.activationBits < 16 && options.activation.granularity === "token") {
          layer.quantizeInput(new TokenQuantizer(scheme.activationBits, device, { learn }));
        }
        return [[role, layer] as const];
      }),
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
