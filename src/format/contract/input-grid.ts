import type { ExportSource } from "./export-source.js";

/** One grid of a layer's input: `x^ = scale (code - zeroPoint)` with codes from 0 to `2^bits - 1`. */
export interface ConstantGrid {
  readonly bits: number;
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Grids of a layer's input by the time step that the network is given. */
export interface KeyedGrid {
  readonly bits: number;
  /** The graph's input that tells the step. */
  readonly input: string;
  /** Its values, as the graph is given them; each at most once. */
  readonly keys: readonly number[];
  /** One a key, as the zero points. */
  readonly scales: readonly number[];
  readonly zeroPoints: readonly number[];
  /** What happens at a step that is no key: the graph fails, or takes the nearest one's grid. */
  readonly unknown: "error" | "nearest";
}

/** How the input of a layer of a graph is quantized at run time. */
export type InputGrid = ConstantGrid | KeyedGrid;

export function isKeyed(grid: InputGrid): grid is KeyedGrid {
  return "keys" in grid;
}

/** The static input grids of a result, by module: its own, else those that steps and zero points of all layers make. */
export function inputGridsOf({
  inputGrids,
  activations,
  inputScales,
  inputZeroPoints,
}: Pick<ExportSource, "inputGrids" | "activations" | "inputScales" | "inputZeroPoints">): ReadonlyMap<
  string,
  InputGrid
> {
  if (inputGrids !== undefined) return inputGrids;
  if (activations === null || activations.dynamic) return new Map();
  const { bits } = activations;
  return new Map(
    [...inputScales].map(([module, scale]) => {
      // A grid that lies evenly around zero has signed codes, which are unsigned ones around their middle.
      const zeroPoint = inputZeroPoints?.get(module) ?? 2 ** (bits - 1);
      return [module, { bits, scale, zeroPoint }] as const;
    }),
  );
}
