import type { TensorReader } from "../../../checkpoint/tensor-reader.js";
import type { GraphNetwork } from "../../../network/index.js";
import type { Scheme } from "../../../quant/scheme.js";
import type { LayerSchemes } from "../../../recipe/job/layer-schemes.js";
import { microBatch, stepBatch } from "../../../recipe/job/micro-batch.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import type { Device, DType } from "../../../tensor/index.js";
import { measureFlops } from "../../machine/device.js";
import { ProcessorLoad } from "../../machine/processor-load.js";
import type { RunOptions } from "../../options/options.js";
import { sum } from "../memory-model.js";
import { secondsOfChoosing } from "../time/choosing-seconds.js";
import type { MachineSpeed } from "../time/machine-speed.js";
import { secondsOfCounting } from "./counting-seconds.js";
import { multiplications, type UnitExtent } from "./unit-extents.js";
import { measureUnits } from "./unit-speed.js";

/** What the speed of a run on a graph depends on. */
export interface GraphSpeedInput {
  readonly options: RunOptions;
  readonly scheme: Scheme;
  readonly network: GraphNetwork;
  readonly checkpoint: TensorReader;
  readonly extents: readonly UnitExtent[];
  readonly schemes: LayerSchemes;
  readonly device: Device;
  readonly dtype: DType & RunOptions["compute"]["dtype"];
}

/**
 * Measures every unit forwards and, where the recipe trains, in its optimisation step, and the choice of codes. What a convolution
 * takes depends on more than its weights, and on a GPU small ones take what launching them takes: a sum over units says it.
 */
export function measureGraphSpeed(input: GraphSpeedInput): MachineSpeed {
  const { device, dtype, options, extents } = input;
  const load = new ProcessorLoad();
  const flops = measureFlops(device, dtype);
  const exactFlops = dtype === "float32" ? flops : measureFlops(device, "float32");
  const recipe = recipeOf(options.recipe);
  const { moments, columns: choosesColumns, trains } = recipe.cost(options);
  const batch = trains ? microBatch(options, stepBatch(recipe, options)) : null;
  const units = measureUnits({ ...input, batch });
  const all = Math.max(1, sum(extents, multiplications));
  const columns = 64;
  const choosing = secondsOfChoosing(columns, moments !== "none" || choosesColumns === true, {
    options,
    scheme: { ...input.scheme, groupSize: null },
    device,
  });
  return {
    ...{ flops, exactFlops, choosingColumns: columns, context: 1, units, perWeight: 0 },
    ...{ choosing: choosing.weight, choosingColumn: choosing.column },
    // Units are measured as they run, launches and all.
    ...{ launching: { pass: 0, step: 0 }, quadratic: { weight: 0, step: 0 } },
    ...(input.scheme.activationBits < 16 && { counting: secondsOfCounting(device) }),
    forward: sum(units, ({ forward }) => forward) / all,
    training: sum(units, ({ example }) => example) / all,
    load: load.share(),
  };
}
