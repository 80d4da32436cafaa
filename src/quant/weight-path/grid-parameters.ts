import type { Tensor } from "../../tensor/index.js";
import type { Grid } from "../grid/grid.js";
import type { Parameter } from "../parameter.js";
import { levels } from "../scheme.js";

/** What a grid has to learn: the logarithm of its scales, and its zero points where they are not fixed. */
export function gridParameters(grid: Grid, logScale: Tensor, zeroPoint: Tensor): Parameter[] {
  const scale = { role: "scale", name: "scale", tensor: logScale } as const;
  if (grid.symmetric) return [scale];
  return [scale, { role: "zeroPoint", name: "zeroPoint", tensor: zeroPoint, bounds: [0, levels(grid.bits) - 1] }];
}
