import type { TensorReader } from "../../../checkpoint/tensor-reader.js";
import type { GraphNetwork } from "../../../network/index.js";
import { checkpointSource, loadUnit } from "../../../network/index.js";
import type { Scheme } from "../../../quant/scheme.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import { type Device, type DType, noGrad, scope, synchronize, Tensor } from "../../../tensor/index.js";
import { measureFlops } from "../../machine/device.js";
import { ProcessorLoad } from "../../machine/processor-load.js";
import type { RunOptions } from "../../options/options.js";
import { secondsOfChoosing } from "../time/choosing-seconds.js";
import type { MachineSpeed } from "../time/machine-speed.js";
import { multiplications, type UnitExtent } from "./unit-extents.js";

/** What the speed of a run on a graph depends on. */
export interface GraphSpeedInput {
  readonly options: RunOptions;
  readonly scheme: Scheme;
  readonly network: GraphNetwork;
  readonly checkpoint: TensorReader;
  readonly extents: readonly UnitExtent[];
  readonly device: Device;
  readonly dtype: DType & RunOptions["compute"]["dtype"];
}

/** Examples at once while the forward pass is measured. */
const EXAMPLES = 4;
/** A training step takes so many forward passes: forward, and back to inputs and weights. */
const STEP_PASSES = 3.2;
/** Operations of a product that fake quantization of a weight, its gradient and Adam take. */
const WEIGHT_OPERATIONS = 180;

/**
 * Measures the whole network forwards, on the weights of the file, and the choice of codes. `forward` and `training` are seconds
 * of a multiplication here, for one example: what a convolution takes depends on more than its weights.
 */
export function measureGraphSpeed(input: GraphSpeedInput): MachineSpeed {
  const { device, dtype, options, extents } = input;
  const load = new ProcessorLoad();
  const flops = measureFlops(device, dtype);
  const exactFlops = dtype === "float32" ? flops : measureFlops(device, "float32");
  const all = Math.max(
    1,
    extents.reduce((sum, extent) => sum + multiplications(extent), 0),
  );
  const forward = secondsOfExample(input) / all;
  const { moments, columns: choosesColumns } = recipeOf(options.recipe).cost(options);
  const columns = 64;
  const choosing = secondsOfChoosing(columns, moments !== "none" || choosesColumns === true, {
    options,
    scheme: { ...input.scheme, groupSize: null },
    device,
  });
  return {
    ...{ flops, exactFlops, forward, choosing, choosingColumns: columns, context: 1 },
    training: forward * STEP_PASSES,
    perWeight: WEIGHT_OPERATIONS / exactFlops,
    load: load.share(),
  };
}

function secondsOfExample({ network, checkpoint, device, dtype }: GraphSpeedInput): number {
  const source = checkpointSource(checkpoint, { device, dtype });
  using open = network.open({ device, dtype, length: 1 });
  const shapes = network.ports(1, 0);
  const types = new Map(network.cut.graph.inputs.map(({ name, dataType }) => [name, dataType]));
  const start = (): Record<string, Tensor> =>
    Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => {
        const whole = types.get(name) === "int64" || types.get(name) === "int32";
        return [name, Tensor.zeros([EXAMPLES, ...shape], { device, dtype: whole ? "int64" : dtype })];
      }),
    );
  return noGrad(() =>
    scope(() => {
      let ports = start();
      let seconds = 0;
      for (const unit of network.units) {
        const weights = loadUnit(source, unit);
        try {
          // The first time sets things up.
          for (const counts of [false, true]) {
            const begun = performance.now();
            const next = scope(() => open.run(unit, weights, ports));
            synchronize(device);
            if (!counts) continue;
            seconds += (performance.now() - begun) / 1000;
            ports = next;
          }
        } finally {
          weights.dispose();
        }
      }
      return seconds / EXAMPLES;
    }),
  );
}
