import { noGrad, scope } from "../tensor/index.js";
import type { Codes } from "./grid/grid.js";
import { zeroPointUnits } from "./grid/group-grid.js";
import type { QuantizedWeight } from "./quantized-weight.js";

/** Codes on the host, as the writers take them. */
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
  const units = scope(() => zeroPoint.mul(zeroPointUnits(groupBits, zeroPoint.size(1), zeroPoint.device)).round());
  const array = bytes(units);
  units.dispose();
  return array;
}

function bytes(tensor: Codes["codes"]): Uint8Array {
  const converted = tensor.to("uint8");
  const array = converted.toArray();
  converted.dispose();
  return array as Uint8Array;
}
