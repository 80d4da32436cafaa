import { FormatError } from "../errors.js";
import { noGrad, scope } from "../tensor/index.js";
import type { Codes } from "./grid/grid.js";
import { zeroPointUnits } from "./grid/group-grid.js";
import type { QuantizedWeight } from "./quantized-weight.js";

/**
 * Codes on the host, as the writers take them.
 *
 * @throws FormatError for zero points that are no whole numbers: no format that is written has real offsets
 */
export function toQuantizedWeight(codes: Codes, perChannel: boolean): QuantizedWeight {
  return noGrad(() => ({
    bits: codes.bits,
    groupSize: codes.groupSize,
    perChannel,
    symmetric: codes.symmetric,
    rows: codes.codes.size(0),
    columns: codes.codes.size(1),
    codes: bytes(codes.codes),
    scales: codes.scale.toFloat32Array(),
    zeroPoints: zeroPoints(codes),
    ...(codes.groupBits !== undefined && { groupBits: codes.groupBits }),
  }));
}

function zeroPoints({ zeroPoint, groupBits }: Codes): Uint8Array {
  const exact = scope(() => zeroPoint.mul(zeroPointUnits(groupBits, zeroPoint.size(1), zeroPoint.device)));
  const units = exact.round();
  const fraction = scope(() => exact.sub_(units).abs().amax().item());
  exact.dispose();
  if (fraction > MOST_FRACTION) {
    units.dispose();
    throw new FormatError({
      what: "offsets that are no whole steps of the grid can't be stored",
      why: "zero points of codes are whole numbers in every format that is written",
      next: "learn offsets in whole steps (offset: integer), or a symmetric grid, which has none",
    });
  }
  const array = bytes(units);
  units.dispose();
  return array;
}

/** What divisions leave of whole numbers. */
const MOST_FRACTION = 1e-3;

function bytes(tensor: Codes["codes"]): Uint8Array {
  const converted = tensor.to("uint8");
  const array = converted.toArray();
  converted.dispose();
  return array as Uint8Array;
}
