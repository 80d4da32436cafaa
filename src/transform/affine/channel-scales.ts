import { gainsOf, normWeights, type Site, type UnitWeights } from "../../network/index.js";
import type { Parameter } from "../../quant/parameter.js";
import { type DType, differentiable, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import { asRead } from "../scale-site.js";
import type { AffinePart } from "./affine-part.js";

/** Bounds of a trained factor, relative to where it starts: far from 0, where the channel would vanish. */
const BOUNDS = [1 / 8, 8] as const;

export interface ChannelScalesOptions {
  /** What parameters are saved by. */
  readonly owner: string;
  /** Dtype in which the norm is stored. */
  readonly storedType: DType;
  /** What is subtracted from the channels to begin with, fp32 `[channels]`; null where nothing is. */
  readonly shift: Tensor | null;
}

/**
 * A diagonal matrix A along a site, `x' = (x - d) / a`, `W' = W diag(a)`, `b' = b + W d`: it folds into whatever makes x, the gains and
 * shifts of a norm or the rows of a Linear. A full matrix has no place in a norm, whose gains see single channels
 * (`NormMatrix`).
 * Source: AffineQuant (arXiv 2403.12544), section 3; the shift is OmniQuant's (arXiv 2308.13137), for LayerNorms.
 */
export class ChannelScales implements AffinePart {
  readonly parameters: readonly Parameter[];
  readonly linears: readonly string[];
  readonly #scale: Tensor;
  readonly #shift: Tensor | null;
  /** Of the norm that makes the channels, copied; null where a Linear makes them. */
  readonly #gain: Tensor | null;
  /** What its gains are stored less. */
  readonly #offset: 0 | 1;
  readonly #bias: Tensor | null;

  constructor(
    weights: UnitWeights,
    private readonly site: Site,
    private readonly options: ChannelScalesOptions,
  ) {
    const { producer, consumers } = site;
    const { owner, shift } = options;
    const copy = (of: () => Tensor): Tensor => keep(scope(() => of().detach().to("float32").clone()));
    const norm = producer?.kind === "norm" ? normWeights(weights, producer.name) : null;
    this.#gain = norm === null ? null : copy(() => gainsOf(norm));
    this.#offset = norm?.offset ?? 0;
    const bias = norm?.bias ?? null;
    this.#bias = bias === null ? null : copy(() => bias);
    const channels = this.#gain?.numel ?? weights.layers.get(producer?.name ?? "")?.weight.size(0) ?? 0;
    const device = weights.layers.get(consumers[0] ?? "")?.weight.device ?? "cpu";
    this.#scale = keep(Tensor.ones([channels], { device })).requiresGrad_();
    this.#shift = shift === null ? null : copy(() => shift).requiresGrad_();
    this.linears = producer?.kind === "layer" ? [producer.name, ...consumers] : consumers;
    this.parameters = [
      { role: "affine", name: `${owner}.scale`, tensor: this.#scale, bounds: BOUNDS },
      ...(this.#shift === null
        ? []
        : [
            {
              role: "affine",
              name: `${owner}.shift`,
              tensor: this.#shift,
              // What the channels are on average away from 0, so that a rate means the same for shifts as for scales.
              unit: scope(() => Math.max(1e-3, shift?.abs().mean().item() ?? 0)),
            } as const,
          ]),
    ];
  }

  weight(linear: string, weight: Tensor): Tensor {
    const { consumers, passes } = this.site;
    if (consumers.includes(linear)) return weight.mul(asRead(passes, this.#divisor()));
    return this.linears.includes(linear) ? weight.div(this.#scale.unsqueeze(1)) : weight;
  }

  bias(linear: string, bias: Tensor, weight: () => Tensor): Tensor {
    if (this.#bias !== null && this.site.consumers.includes(linear)) {
      return bias.add(weight().matmul(this.#constant()));
    }
    const { producer } = this.site;
    return producer?.kind === "layer" && producer.name === linear ? bias.div(this.#scale) : bias;
  }

  norm(): ReturnType<AffinePart["norm"]> {
    const { producer } = this.site;
    if (producer?.kind !== "norm") return null;
    const gain = this.#storedGain();
    return {
      name: producer.name,
      weight: this.#offset === 0 ? gain : gain.sub(this.#offset),
      bias: this.#bias === null ? null : this.#storedBias(),
      offset: this.#offset,
    };
  }

  enterEpoch(): void {}

  reset(): void {
    noGrad(() => {
      this.#scale.fill_(1);
      this.#shift?.zero_();
    });
  }

  dispose(): void {
    for (const tensor of [this.#scale, this.#shift, this.#gain, this.#bias]) tensor?.dispose();
  }

  #storedGain(): Tensor {
    const gain = (this.#gain as Tensor).div(this.#scale);
    if (this.#offset === 0) return asStored(gain, this.options.storedType);
    return asStored(gain.sub(this.#offset), this.options.storedType).add(this.#offset);
  }

  #storedBias(): Tensor {
    const bias = this.#bias as Tensor;
    const centred = this.#shift === null ? bias : bias.sub(this.#shift);
    return asStored(centred.div(this.#divisor()), this.options.storedType);
  }

  // What the channels are divided by once the gains are stored: columns make up for how those were rounded.
  #divisor(): Tensor {
    const gain = this.#gain;
    if (gain === null) return this.#scale;
    const exact = noGrad(() =>
      scope(() => {
        const stored = this.#storedGain();
        return Tensor.where(stored.eq(0), this.#scale, gain.div(stored));
      }),
    );
    return withValue(this.#scale, exact);
  }

  // What was taken from the channels once the norm's shifts are stored: biases make up for how those were rounded.
  #constant(): Tensor {
    const bias = this.#bias as Tensor;
    const exact = noGrad(() => scope(() => bias.sub(this.#storedBias().mul(this.#divisor()))));
    return this.#shift === null ? exact : withValue(this.#shift, exact);
  }
}

/** Rounded to the dtype in which it is stored, with the gradient of the identity. */
export function asStored(value: Tensor, dtype: DType): Tensor {
  if (dtype === "float32") return value;
  return differentiable(
    [value],
    () => ({ output: value.to(dtype).to("float32") }),
    (gradient) => [gradient],
  );
}

// `value`, with the gradient of `like`.
function withValue(like: Tensor, value: Tensor): Tensor {
  return differentiable(
    [like],
    () => ({ output: value.clone() }),
    (gradient) => [gradient],
  );
}
