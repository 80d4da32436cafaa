import type { UnitPlan } from "./unit.js";

/** How a factor of a produced channel reaches the Linears that read it. */
export type Passage =
  /** Not at all: behind a GELU, say. */
  | { readonly kind: "none" }
  /** As it is, where it is positive: behind a ReLU. */
  | { readonly kind: "positive" }
  /** As it is. */
  | { readonly kind: "linear" }
  /**
   * As it is, several times: values of `groups` heads of `width` channels, each of which `times` query heads read. Mixing the
   * channels of a head passes as well where `mixes`; it does not where a gate multiplies single channels.
   */
  | {
      readonly kind: "heads";
      readonly groups: number;
      readonly times: number;
      readonly width: number;
      readonly mixes: boolean;
    };

/** A norm, or a Linear whose rows are the channels. */
export interface Producer {
  readonly kind: "norm" | "layer";
  readonly name: string;
}

/**
 * An input that Linears share, and what makes it. Whatever scales or mixes channels (CFP, a rotation, AffineQuant, Z-Fold)
 * does so at the producer and undoes it in the consumers: it folds along the site.
 */
export interface Site {
  /** Null where it comes from outside the unit, or from several places. */
  readonly producer: Producer | null;
  /** Linears whose columns are the channels. */
  readonly consumers: readonly string[];
  readonly passes: Passage;
}

/** The site whose input a Linear reads. */
export function siteOf(unit: UnitPlan, layer: string): Site {
  const site = unit.sites.find(({ consumers }) => consumers.includes(layer));
  if (site === undefined) throw new TypeError(`unit ${unit.index} has no site for its Linear "${layer}"`);
  return site;
}

/** The Linear that stands for all that read a site's input. */
export function firstConsumer({ consumers }: Site): string {
  const [first] = consumers;
  if (first === undefined) throw new TypeError("a site has Linears that read it");
  return first;
}

/**
 * The Linears of a site by the rows that they read: those that all tokens pass, and stacks of experts, which read each token as
 * often as it has experts.
 */
export function readersOf(unit: UnitPlan, { consumers }: Site): readonly (readonly string[])[] {
  const stacked = new Set(unit.layers.flatMap(({ name, experts }) => (experts === undefined ? [] : [name])));
  const [plain, experts] = [
    consumers.filter((name) => !stacked.has(name)),
    consumers.filter((name) => stacked.has(name)),
  ];
  return [plain, experts].filter((names) => names.length > 0);
}

/** The first of the Linears that read the same rows as a Linear: what is measured of its input holds for all of them. */
export function standsFor(unit: UnitPlan, layer: string): string {
  const readers = readersOf(unit, siteOf(unit, layer)).find((names) => names.includes(layer));
  return readers?.[0] ?? layer;
}

/** The Linears that change when something folds along a site. */
export function foldedLayers({ producer, consumers }: Site): readonly string[] {
  return producer?.kind === "layer" ? [producer.name, ...consumers] : consumers;
}
