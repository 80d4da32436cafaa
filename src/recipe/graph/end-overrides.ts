import type { UnitPlan } from "../../network/index.js";
import type { Scheme } from "../../quant/scheme.js";
import type { Override } from "../options/shared/overrides.js";

/**
 * Gives the first and the last layers of a graph at least `bits`, and the input of the last ones too. They are found by what
 * they read and make: by its place in a list the layer before the last in a ResNet is a convolution whose output nobody
 * quantizes, and the released code of BRECQ leaves the last one's input at 4 bits for that.
 *
 * @param bits null for none
 */
export function endOverrides(units: readonly UnitPlan[], bits: 4 | 8 | null, scheme: Scheme): readonly Override[] {
  if (bits === null) return [];
  return units
    .flatMap(({ layers }) => layers)
    .filter(({ readsInput, makesOutput }) => readsInput === true || makesOutput === true)
    .map(({ module, readsInput }) => ({
      pattern: module,
      bits: Math.max(bits, scheme.bits),
      // The image itself stays as it is.
      ...(readsInput !== true &&
        scheme.activationBits < 16 && { inputBits: Math.max(bits, scheme.activationBits) as 4 | 8 }),
    }));
}
