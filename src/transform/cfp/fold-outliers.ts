import { firstConsumer, type Site, type UnitPlan, type UnitWeights } from "../../network/index.js";
import { type DType, keep, noGrad, scope, type Tensor } from "../../tensor/index.js";
import { asProduced, scaleSite } from "../scale-site.js";
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

/** Collects the extremes of every site of a unit while it runs. */
export class ExtremesObserver {
  readonly extremes = new Map<Site, ChannelExtremes>();
  readonly #sites: ReadonlyMap<string, Site>;

  constructor(unit: UnitPlan) {
    this.#sites = new Map(unit.sites.map((site) => [firstConsumer(site), site]));
  }

  observe(layer: string, input: Tensor): void {
    const site = this.#sites.get(layer);
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
 * CFP for activations: outlier channels of a site are divided by `s_c` where they are made and the columns that read them are
 * multiplied by it, in place. The unit computes the same function. Returns the sites that changed.
 * Source: CBQ (arXiv 2312.07950), section 3.1.
 */
export function foldOutliers(
  weights: UnitWeights,
  extremes: ReadonlyMap<Site, ChannelExtremes>,
  options: FoldOptions,
): Site[] {
  return noGrad(() =>
    [...extremes]
      .filter(([site, extreme]) => scope(() => foldSite(weights, site, extreme, options)))
      .map(([site]) => site),
  );
}

function foldSite(weights: UnitWeights, site: Site, extreme: ChannelExtremes, options: FoldOptions): boolean {
  const { producer, passes } = site;
  if (producer === null || passes.kind === "none") return false;
  const scales = channelScales(
    {
      minimum: asProduced(passes, extreme.minimum, (byHead) => byHead.amin(1)),
      maximum: asProduced(passes, extreme.maximum, (byHead) => byHead.amax(1)),
    },
    options,
  );
  if (scales === null) return false;
  scaleSite(weights, site, scales, options.storedType);
  return true;
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
