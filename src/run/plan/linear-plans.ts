import type { QuantizedLayout } from "../../format/contract/export-source.js";
import { type DecoderSpec, linearName, linearRoles, linearShape } from "../../network/index.js";
import { groupColumns } from "../../quant/scheme.js";
import type { LayerSchemes } from "../../recipe/job/layer-schemes.js";

/** A Linear that will be quantized, known before any weight is read. */
export interface LinearPlan {
  readonly name: string;
  readonly block: number;
  readonly layout: QuantizedLayout;
}

/** The Linears that will be quantized, in the order of the network. */
export function linearPlans(spec: DecoderSpec, schemes: LayerSchemes): LinearPlan[] {
  const plans: LinearPlan[] = [];
  for (let block = 0; block < spec.blocks; block++) {
    for (const role of linearRoles(spec)) {
      const name = linearName(spec, block, role);
      const scheme = schemes.get(name);
      if (scheme === undefined || scheme === null) continue;
      const [rows, columns] = linearShape(spec, role);
      const groupSize = groupColumns(scheme, columns, name);
      const { bits, symmetric } = scheme;
      const layout = { bits, symmetric, perChannel: scheme.groupSize === null, groupSize, rows, columns };
      plans.push({ name, block, layout });
    }
  }
  return plans;
}
