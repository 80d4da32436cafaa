import type { PortStore } from "../../calibration/port-store.js";
import { StoredTensorQuantizer, type TensorGrid } from "../../quant/input/asymmetric-tensor.js";
import { KeyedQuantizer } from "../../quant/input/keyed.js";
import type { KeyedGrid } from "../../quant/input/keyed-grid.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import type { RecipeJob } from "../job/recipe-job.js";
import { examplesByKey } from "./examples-by-key.js";
import { measureInputRanges } from "./input-ranges.js";

/** Whether ranges are found for each time step, and what becomes of other steps. */
export interface ByStep {
  readonly fsc: boolean;
  readonly unknownStep: KeyedGrid["unknown"];
}

/**
 * Quantizes a block's inputs where the scheme does, from the stream at its input: with a range for each time step, or one for
 * all. An input whose rows can't be told apart by example has one for all.
 */
export function calibrateByStep(
  job: Pick<RecipeJob, "device" | "timeInput" | "poll">,
  block: QuantizedUnit,
  stream: PortStore,
  { fsc, unknownStep }: ByStep,
): void {
  const { device, timeInput } = job;
  const bits = new Map(
    [...block.layers].flatMap(([name, { scheme }]) =>
      scheme.activationBits === 16 ? [] : [[name, scheme.activationBits] as const],
    ),
  );
  if (bits.size === 0) return;
  const all = Array.from({ length: stream.shape.sequences }, (_, i) => i);
  const measure = (groups: readonly (readonly number[])[]): ReturnType<typeof measureInputRanges> =>
    measureInputRanges(job, block, stream, groups, bits);
  const groups = fsc && timeInput !== undefined ? examplesByKey(stream, timeInput) : null;
  const keyed = groups === null ? null : measure([...groups.values()]);
  const single = keyed === null || [...keyed.values()].some(({ byExample }) => !byExample) ? measure([all]) : null;
  for (const [name, own] of bits) {
    const layer = block.layers.get(name);
    const found = keyed?.get(name);
    if (found?.byExample === true && groups !== null && timeInput !== undefined) {
      const table = tableOf(found.grids);
      const grid = { bits: own, input: timeInput, keys: [...groups.keys()], ...table, unknown: unknownStep };
      layer?.quantizeInput(new KeyedQuantizer(grid, device));
      continue;
    }
    const [grid] = single?.get(name)?.grids ?? [];
    if (grid === undefined) throw new TypeError(`no input of ${layer?.name} was observed`);
    layer?.quantizeInput(new StoredTensorQuantizer(own, grid, device));
  }
}

function tableOf(grids: readonly TensorGrid[]): Pick<KeyedGrid, "scales" | "zeroPoints"> {
  return { scales: grids.map(({ scale }) => scale), zeroPoints: grids.map(({ zeroPoint }) => zeroPoint) };
}
