import { type BlockWeights, type DecoderSpec, inBlock, type NormWeights } from "../network/index.js";
import type { Parameter } from "../quant/parameter.js";
import { type DType, keep, noGrad, scope, type Tensor } from "../tensor/index.js";

/** Gains and shifts of a block's norms, those over heads included, while they are trained; fp32. */
export class TrainedNorms {
  readonly parameters: readonly Parameter[];
  readonly #attentionNorm: NormWeights;
  readonly #mlpNorm: NormWeights;
  readonly #qNorm: NormWeights | null;
  readonly #kNorm: NormWeights | null;

  /** Starts at the norms of `weights`, which it copies. */
  constructor({ names }: DecoderSpec, block: number, weights: BlockWeights) {
    const parameters: Parameter[] = [];
    const leaf = (name: string, tensor: Tensor): Tensor => {
      const copy = keep(scope(() => tensor.detach().to("float32").clone())).requiresGrad_();
      parameters.push({ role: "norm", name, tensor: copy });
      return copy;
    };
    const trained = (name: string, { weight, bias }: NormWeights): NormWeights => ({
      weight: leaf(`${inBlock(name, block)}.weight`, weight),
      bias: bias === null ? null : leaf(`${inBlock(name, block)}.bias`, bias),
    });
    this.#attentionNorm = trained(names.norms.attentionNorm, weights.norms.attentionNorm);
    this.#mlpNorm = trained(names.norms.mlpNorm, weights.norms.mlpNorm);
    this.#qNorm = weights.qNorm === null ? null : trained(names.qNorm, weights.qNorm);
    this.#kNorm = weights.kNorm === null ? null : trained(names.kNorm, weights.kNorm);
    this.parameters = parameters;
  }

  /** A block with these norms in place of its own. */
  replaced(weights: BlockWeights): BlockWeights {
    return {
      ...weights,
      norms: { attentionNorm: this.#attentionNorm, mlpNorm: this.#mlpNorm },
      qNorm: this.#qNorm,
      kNorm: this.#kNorm,
    };
  }

  /** Rounds them to the dtype that they are stored in: what is measured and computed with afterwards. */
  harden(stored: (name: string) => DType): void {
    noGrad(() => {
      for (const { name, tensor } of this.parameters) {
        scope(() => tensor.copy_(tensor.detach().to(stored(name)).to("float32")));
      }
    });
  }

  dispose(): void {
    for (const { tensor } of this.parameters) tensor.dispose();
  }
}
