import { noGrad } from "../tensor/index.js";
import type { Codes } from "./grid/grid.js";
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
    zeroPoints: bytes(codes.zeroPoint),
  }));
}

function bytes(tensor: Codes["codes"]): Uint8Array {
  const converted = tensor.to("uint8");
  const array = converted.toArray();
  converted.dispose();
  return array as Uint8Array;
}
