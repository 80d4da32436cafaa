import {
  layerOf,
  linearOf,
  type NormWeights,
  normOf,
  type Site,
  type UnitPlan,
  type UnitWeights,
} from "../../network/index.js";
import type { Parameter } from "../../quant/parameter.js";
import { type DType, keep, noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { ChannelExtremes } from "../cfp/fold-outliers.js";
import { scaleSite } from "../scale-site.js";
import type { TransformedVectors, UnitTransform } from "../unit-transform.js";
import type { AffinePart } from "./affine-part.js";
import { asStored, ChannelScales } from "./channel-scales.js";
import { HeadMatrices } from "./head-matrices.js";
import { NormMatrix } from "./norm-matrix.js";
import { startingScales } from "./starting-scales.js";

export interface AffineOptions {
  /** What elements beside a matrix's diagonal are multiplied by; 0 keeps matrices diagonal. */
  readonly alpha: number;
  /** Exponent of the activations in the scales that training begins with. */
  readonly exponent: number;
  /** Shift channels behind LayerNorms. */
  readonly shift: boolean;
  /** Matrices of queries and keys. */
  readonly queryKey: boolean;
  /** Scale what a Linear alone makes: the inputs of the MLP's last one. */
  readonly down: boolean;
  /** What stands behind norms: a diagonal, which folds into their gains, or a matrix behind it. */
  readonly norms: "diagonal" | "matrix";
  /** Dtype in which norms and biases are stored. */
  readonly storedType: DType;
}

/**
 * AffineQuant's transforms of a unit: what it computes with them is what it computes without. All fold but matrices behind norms.
 *
 *   norm -> q, k, v and norm -> gate, up   a diagonal A, and a shift where the norm is a LayerNorm; a matrix behind them
 *   v -> o                                 a matrix for each head
 *   q, k                                   a matrix for each head; under rotary positions one of pairs
 *   up -> down                             a diagonal A, which the paper does not have
 *
 * A starts as diag(act^p / wmax^(1-p)), which is folded at once; what is trained starts at the identity, so that one rate means the
 * same for every channel.
 * Source: AffineQuant (arXiv 2403.12544), section 3.
 */
export class AffineTransform implements UnitTransform {
  readonly parameters: readonly Parameter[];
  readonly linears: readonly string[];
  readonly #parts: readonly AffinePart[];
  /** Biases of the Linears that change, copied. */
  readonly #biases: ReadonlyMap<string, Tensor>;

  /**
   * Folds the scales that it starts with into `weights`, in place.
   *
   * @param weights of the unit, fp32
   * @param extremes of the sites that it may change, all Linears of which are quantized
   * @param quantized whether a Linear is: one that is not keeps its bytes
   */
  constructor(
    unit: UnitPlan,
    weights: UnitWeights,
    extremes: ReadonlyMap<Site, ChannelExtremes>,
    quantized: (linear: string) => boolean,
    private readonly options: AffineOptions,
  ) {
    const isNorm = ([{ producer }]: readonly [Site, ChannelExtremes]): boolean => producer?.kind === "norm";
    // Biases take up what a norm's shifts lost before they are multiplied as rows.
    const ordered = [...[...extremes].filter(isNorm), ...[...extremes].filter((entry) => !isNorm(entry))];
    this.#parts = [
      ...ordered.flatMap(([site, seen]) => sitePart(unit, weights, site, seen, options)),
      ...queryKeyPart(unit, weights, quantized, options),
    ];
    this.parameters = this.#parts.flatMap((part) => part.parameters);
    this.linears = [...new Set(this.#parts.flatMap((part) => part.linears))];
    this.#biases = new Map(
      this.linears.flatMap((name) => {
        const { bias } = linearOf(weights, name);
        return bias === null ? [] : [[name, keep(scope(() => bias.detach().clone()))] as const];
      }),
    );
  }

  weight(linear: string, weight: Tensor): Tensor {
    return this.#parts.reduce((changed, part) => part.weight(linear, changed), weight);
  }

  vectors(weightOf: (linear: string) => Tensor): TransformedVectors {
    const norms = new Map<string, NormWeights>();
    for (const part of this.#parts) {
      const norm = part.norm();
      if (norm !== null) norms.set(norm.name, norm);
    }
    const biases = new Map<string, Tensor>();
    for (const [name, own] of this.#biases) {
      const bias = this.#parts.reduce((changed, part) => part.bias(name, changed, () => weightOf(name)), own);
      if (bias !== own) biases.set(name, asStored(bias, this.options.storedType));
    }
    const matrices = new Map(
      this.#parts.flatMap((part) => {
        const own = part.matrix?.();
        return own === undefined ? [] : [[own.norm, own.matrix] as const];
      }),
    );
    return { norms, biases, matrices };
  }

  /** Takes the masks of an epoch, counted from 0. */
  enterEpoch(epoch: number, epochs: number): void {
    for (const part of this.#parts) part.enterEpoch(epoch, epochs);
  }

  reset(): void {
    for (const part of this.#parts) part.reset();
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose();
    for (const bias of this.#biases.values()) bias.dispose();
  }
}

function sitePart(
  unit: UnitPlan,
  weights: UnitWeights,
  site: Site,
  seen: ChannelExtremes,
  { alpha, exponent, shift, down, norms, storedType }: AffineOptions,
): AffinePart[] {
  const { producer, consumers, passes } = site;
  if (producer === null || passes.kind === "none") return [];
  if (producer.kind === "layer" && passes.kind !== "heads" && !down) return [];
  const scales = startingScales(weights, site, seen, exponent);
  try {
    noGrad(() => scope(() => scaleSite(weights, site, scales, storedType)));
    if (passes.kind === "heads" && passes.mixes) {
      const { groups, times, width } = passes;
      const { module } = layerOf(unit, producer.name);
      return [
        new HeadMatrices({
          owner: `${module}.affine`,
          uses: [
            { linear: producer.name, side: "rows", by: "inverse", times: 1 },
            ...consumers.map((linear) => ({ linear, side: "columns", by: "matrix", times }) as const),
          ],
          ...{ groups, width, alpha, form: "any", device: scales.device },
        }),
      ];
    }
    if (producer.kind === "layer") {
      const owner = `${layerOf(unit, producer.name).module}.affine`;
      return [new ChannelScales(weights, site, { owner, storedType, shift: null })];
    }
    const { module, bias, width, matrix } = normOf(unit, producer.name);
    const shifts = bias && consumers.every((name) => layerOf(unit, name).bias);
    const middle = shift && shifts ? noGrad(() => scope(() => middleOf(seen, scales))) : null;
    try {
      const owner = `${module}.affine`;
      const diagonal = new ChannelScales(weights, site, { owner, storedType, shift: middle });
      if (norms === "diagonal" || matrix === undefined || alpha === 0) return [diagonal];
      const { device } = scales;
      return [diagonal, new NormMatrix({ owner, norm: producer.name, consumers, width, alpha, storedType, device })];
    } finally {
      middle?.dispose();
    }
  } finally {
    scales.dispose();
  }
}

// Halfway between the extremes of what the scales make of the channels.
function middleOf({ minimum, maximum }: ChannelExtremes, scales: Tensor): Tensor {
  return minimum.add(maximum).div(2).div(scales);
}

function queryKeyPart(
  unit: UnitPlan,
  weights: UnitWeights,
  quantized: (linear: string) => boolean,
  { alpha, queryKey }: AffineOptions,
): AffinePart[] {
  const { attention } = unit;
  if (!queryKey || attention === undefined || attention.scores === "none") return [];
  const { query, key, heads, kvHeads, headDim, scores } = attention;
  if (!quantized(query) || !quantized(key)) return [];
  return [
    new HeadMatrices({
      owner: `${layerOf(unit, query).module}.affine`,
      uses: [
        { linear: query, side: "rows", by: "inverse", times: heads / kvHeads },
        { linear: key, side: "rows", by: "matrix", times: 1 },
      ],
      ...{ groups: kvHeads, width: headDim, alpha, form: scores },
      device: linearOf(weights, query).weight.device,
    }),
  ];
}
