import type { QuantizedLayout } from "../../format/contract/export-source.js";
import type { UnitPlan } from "../../network/index.js";
import { widestOf } from "../../quant/grid/group-grid.js";
import { groupColumns } from "../../quant/scheme.js";
import type { LayerSchemes } from "../../recipe/job/layer-schemes.js";

/** A Linear that will be quantized, known before any weight is read. */
export interface LinearPlan {
  readonly name: string;
  readonly block: number;
  readonly layout: QuantizedLayout;
}

/** The Linears that will be quantized, in the order of the network. */
export function linearPlans(units: readonly UnitPlan[], schemes: LayerSchemes): LinearPlan[] {
  return units.flatMap(({ index, layers }) =>
    layers.flatMap(({ module, rows, columns }) => {
      const scheme = schemes.get(module);
      if (scheme === undefined || scheme === null) return [];
      const groupSize = groupColumns(scheme, columns, module);
      const { bits, symmetric } = scheme;
      const layout = { bits, symmetric, perChannel: scheme.groupSize === null, groupSize, rows, columns };
      return [{ name: module, block: index, layout }];
    }),
  );
}

/** The same Linear where groups will have bits of their own, as many together as if all had the scheme's. */
export function withGroupBits({ layout, ...linear }: LinearPlan): LinearPlan {
  const groupBits = new Array<number>(layout.columns / layout.groupSize).fill(layout.bits);
  return { ...linear, layout: { ...layout, bits: widestOf(groupBits), groupBits, symmetric: false } };
}
