import {
  type BlockWeights,
  type DecoderSpec,
  type InputSite,
  inputSites,
  type LinearRole,
} from "../../network/index.js";
import { type DType, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import { type Detection, detectionRules, outlierThreshold } from "./detect-outliers.js";

/** Extremes of each input channel over the calibration tokens, fp32 `[channels]`. */
export interface ChannelExtremes {
  readonly minimum: Tensor;
  readonly maximum: Tensor;
}

export interface FoldOptions {
  readonly detection: Detection;
  /** `s_c = (m_c / threshold)^exponent`. */
  readonly exponent: number;
  readonly lambda1: number;
  readonly lambda2: number;
  /** Dtype in which norms and biases are stored: folded values are rounded to it at once. */
  readonly storedType: DType;
}

/** Collects the extremes of every input site of a block while it runs. */
export class ExtremesObserver {
  readonly extremes = new Map<InputSite, ChannelExtremes>();
  readonly #sites: ReadonlyMap<LinearRole, InputSite>;

  constructor(spec: DecoderSpec) {
    // The first Linear of a site sees the input that all of them share.
    this.#sites = new Map(inputSites(spec).map((site) => [site.linears[0] as LinearRole, site]));
  }

  observe(role: LinearRole, input: Tensor): void {
    const site = this.#sites.get(role);
    if (site === undefined) return;
    const before = this.extremes.get(site);
    const next = noGrad(() =>
      scope(() => {
        const rows = input
          .detach()
          .to("float32")
          .reshape([-1, input.size(-1)]);
        const [minimum, maximum] = [rows.amin(0), rows.amax(0)];
        return before === undefined
          ? { minimum, maximum }
          : { minimum: minimum.minimum(before.minimum), maximum: maximum.maximum(before.maximum) };
      }),
    );
    before?.minimum.dispose();
    before?.maximum.dispose();
    this.extremes.set(site, { minimum: keep(next.minimum), maximum: keep(next.maximum) });
  }

  dispose(): void {
    for (const { minimum, maximum } of this.extremes.values()) {
      minimum.dispose();
      maximum.dispose();
    }
    this.extremes.clear();
  }
}

/**
 * CFP for activations: outlier channels of a site are divided by `s_c` where they are made (norm, or
 * rows of the Linear before) and the columns that read them are multiplied by it, in place. The
 * block computes the same function. Returns the sites that changed.
 * Source: CBQ (arXiv 2312.07950), section 3.1.
 */
export function foldActivations(
  spec: DecoderSpec,
  weights: BlockWeights,
  extremes: ReadonlyMap<InputSite, ChannelExtremes>,
  options: FoldOptions,
): InputSite[] {
  return noGrad(() =>
    [...extremes]
      .filter(([site, extreme]) => scope(() => foldSite(spec, weights, site, extreme, options)))
      .map(([site]) => site),
  );
}

function foldSite(
  spec: DecoderSpec,
  weights: BlockWeights,
  { producer, linears }: InputSite,
  extreme: ChannelExtremes,
  options: FoldOptions,
): boolean {
  // Behind a GELU a factor does not pass.
  if (producer === "up" && spec.mlp.kind === "plain" && spec.mlp.activation !== "relu") return false;
  const shared = producer === "v" ? perKeyValueChannel(spec, extreme) : extreme;
  const wanted = channelScales(shared, options);
  if (wanted === null) return false;
  const scales = producer === "v" || producer === "up" ? wanted : storable(weights, producer, wanted, options);
  if (producer === "v" || producer === "up") {
    const source = linear(weights, producer);
    source.weight.div_(scales.unsqueeze(1));
    if (source.bias !== null) source.bias.copy_(source.bias.div(scales).to(options.storedType));
  }
  const columns = producer === "v" ? perQueryChannel(spec, scales) : scales;
  for (const role of linears) linear(weights, role).weight.mul_(columns);
  return true;
}

// Divides the norm's gains, rounded as they will be stored, and returns the factors that this gave.
function storable(
  weights: BlockWeights,
  producer: "attentionNorm" | "mlpNorm",
  scales: Tensor,
  options: FoldOptions,
): Tensor {
  const { weight, bias } = weights.norms[producer];
  const folded = weight.div(scales).to(options.storedType).to("float32");
  const exact = Tensor.where(folded.eq(0), Tensor.ones(folded.shape, { device: folded.device }), weight.div(folded));
  weight.copy_(Tensor.where(folded.eq(0), weight, folded));
  if (bias !== null) bias.copy_(bias.div(exact).to(options.storedType));
  return exact;
}

function channelScales({ minimum, maximum }: ChannelExtremes, options: FoldOptions): Tensor | null {
  const { detection, lambda1, lambda2 } = options;
  const { quantiles, sidesApart } = detectionRules[detection];
  const sides = sidesApart ? [minimum.neg().clamp(0), maximum.clamp(0)] : [minimum.neg().maximum(maximum)];
  const ratios: Tensor[] = [];
  for (const side of sides) {
    const threshold = outlierThreshold(side, { lambda1, lambda2, quantiles });
    if (threshold !== null && threshold > 0) ratios.push(side.div(threshold).clamp(1).pow(options.exponent));
  }
  return ratios.length === 0 ? null : ratios.reduce((a, b) => a.maximum(b));
}

// The output projection reads each value channel once per query head of its group.
function perKeyValueChannel(spec: DecoderSpec, { minimum, maximum }: ChannelExtremes): ChannelExtremes {
  const { heads, kvHeads, headDim } = spec.attention;
  const group = (x: Tensor): Tensor => x.reshape([kvHeads, heads / kvHeads, headDim]);
  return {
    minimum: group(minimum)
      .amin(1)
      .reshape([kvHeads * headDim]),
    maximum: group(maximum)
      .amax(1)
      .reshape([kvHeads * headDim]),
  };
}

function perQueryChannel(spec: DecoderSpec, scales: Tensor): Tensor {
  const { heads, kvHeads, headDim } = spec.attention;
  return scales
    .reshape([kvHeads, 1, headDim])
    .expand([kvHeads, heads / kvHeads, headDim])
    .reshape([heads * headDim]);
}

function linear(weights: BlockWeights, role: LinearRole): { weight: Tensor; bias: Tensor | null } {
  const found = weights.linears.get(role);
  if (found === undefined) throw new TypeError(`no Linear "${role}" in this block`);
  return found;
}
