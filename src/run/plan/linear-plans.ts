import type { QuantizedLayout } from "../../format/contract/export-source.js";
import type { UnitPlan } from "../../network/index.js";
import { widestOf } from "../../quant/grid/group-grid.js";
import { groupColumns } from "../../quant/scheme.js";
import type { LayerSchemes } from "../../recipe/job/layer-schemes.js";
import type { PlanEvent } from "../events/events.js";

/** A Linear that will be quantized, known before any weight is read. */
export interface LinearPlan {
  readonly name: string;
  readonly block: number;
  readonly layout: QuantizedLayout;
  /** The share of its rows that a token is multiplied with: a few of all experts. 1 where it is absent. */
  readonly share?: number;
  /** Whether it reads what the network is given. */
  readonly readsInput?: true;
}

/** The Linears that will be quantized, in the order of the network. */
export function linearPlans(units: readonly UnitPlan[], schemes: LayerSchemes): LinearPlan[] {
  return units.flatMap(({ index, layers }) =>
    layers.flatMap(({ module, rows, columns, experts, perToken, readsInput }) => {
      const scheme = schemes.get(module);
      if (scheme === undefined || scheme === null) return [];
      const groupSize = groupColumns(scheme, columns, module);
      const { bits, symmetric } = scheme;
      const layout = { bits, symmetric, perChannel: scheme.groupSize === null, groupSize, rows, columns };
      const share = experts === undefined || perToken === undefined ? {} : { share: perToken / experts };
      return [{ name: module, block: index, layout, ...share, ...(readsInput === true && { readsInput }) }];
    }),
  );
}

/** The same Linear where groups will have bits of their own, as many together as if all had the scheme's. */
export function withGroupBits({ layout, ...linear }: LinearPlan): LinearPlan {
  const groupBits = new Array<number>(layout.columns / layout.groupSize).fill(layout.bits);
  return { ...linear, layout: { ...layout, bits: widestOf(groupBits), groupBits, symmetric: false } };
}

/** Linears of a network that stay in full precision by what they are. */
export function protectedLinears(units: readonly UnitPlan[], schemes: LayerSchemes): PlanEvent["protected"] {
  const found = new Map<string, string[]>();
  for (const { module, protectedAs } of units.flatMap(({ layers }) => layers)) {
    if (protectedAs === undefined || (schemes.get(module) ?? null) !== null) continue;
    found.set(protectedAs, [...(found.get(protectedAs) ?? []), module]);
  }
  return [...found].map(([as, modules]) => ({ as, linears: modules.length, example: modules[0] ?? "" }));
}
