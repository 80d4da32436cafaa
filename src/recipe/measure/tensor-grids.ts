import type { PortStore } from "../../calibration/port-store.js";
import { layerOf } from "../../network/index.js";
import type { ActivationQuantizer } from "../../quant/input/activation.js";
import { StoredTensorQuantizer, type TensorGrid } from "../../quant/input/asymmetric-tensor.js";
import { gridOfHistogram, type Histogram } from "../../quant/input/histogram-grid.js";
import { StepTensorQuantizer, sharedQuantizer } from "../../quant/input/step-quantizer.js";
import type { InputObserver, QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { readNeeded } from "../../reconstruct/training/window-ports.js";
import { callTensor, type Device, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";

/** Examples whose inputs fix the ranges, and how many of them at once. */
const [EXAMPLES, AT_ONCE] = [128, 8];

const BINS = 2048;

/** How a grid that was found quantizes. */
export type GridQuantizer = (bits: number, grid: TensorGrid, device: Device) => ActivationQuantizer;

/** One whose grid stays. */
export const fixedGrid: GridQuantizer = (bits, grid, device) => new StoredTensorQuantizer(bits, grid, device);

/** One whose step is trained, at rates in shares of what it starts with. */
export const learntGrid: GridQuantizer = (bits, grid, device) =>
  new StepTensorQuantizer(bits, grid, device, { relative: true });

/** The same at absolute rates. */
const absoluteGrid: GridQuantizer = (bits, grid, device) =>
  new StepTensorQuantizer(bits, grid, device, { relative: false });

/** One whose step is trained at rates in shares of itself (`step`) or absolute ones, or that stays. */
export function gridQuantizer(unit: "step" | "absolute", learn: boolean): GridQuantizer {
  if (!learn) return fixedGrid;
  return unit === "step" ? learntGrid : absoluteGrid;
}

/**
 * Gives the layers of a graph's unit one asymmetric grid for each tensor that they read and that is quantized: the one that
 * loses least of what the unit in full precision has there, of the stream at its input. Layers that read the same tensor
 * share one.
 *
 * @param power of the error that is least
 */
export function calibrateTensorGrids(
  job: Pick<RecipeJob, "device" | "poll">,
  block: QuantizedUnit,
  stream: PortStore,
  quantizer: GridQuantizer,
  power = 2,
): void {
  const quantized = [...block.layers].filter(([, { scheme }]) => scheme.activationBits < 16);
  if (quantized.length === 0) return;
  const histograms = histogramsOf(job, block, stream, new Set(quantized.map(([name]) => readBy(block, name))));
  const made = new Map<string, ActivationQuantizer>();
  for (const [name, layer] of quantized) {
    const value = readBy(block, name);
    const histogram = histograms.get(value);
    if (histogram === undefined) throw new TypeError(`no input of ${layer.name} was observed`);
    const { activationBits: bits } = layer.scheme;
    const key = `${bits} ${value}`;
    const owner = made.get(key);
    const own = owner ?? quantizer(bits, gridOfHistogram(histogram, bits, power), job.device);
    made.set(key, own);
    layer.quantizeInput(owner === undefined ? own : sharedQuantizer(owner));
  }
}

/** What passes for the name of the tensor that a layer reads. */
function readBy(block: QuantizedUnit, layer: string): string {
  return layerOf(block.plan, layer).reads ?? layer;
}

function histogramsOf(
  { poll }: Pick<RecipeJob, "poll">,
  block: QuantizedUnit,
  stream: PortStore,
  wanted: ReadonlySet<string>,
): ReadonlyMap<string, Histogram> {
  const show = (see: (value: string, x: Tensor) => void): void => {
    const count = Math.min(EXAMPLES, stream.shape.sequences);
    for (let first = 0; first < count; first += AT_ONCE) {
      poll();
      const seen = new Set<string>();
      const observe: InputObserver = (layer, x) => {
        const value = readBy(block, layer);
        if (!wanted.has(value) || seen.has(value)) return;
        seen.add(value);
        scope(() => see(value, x.detach().to("float32")));
      };
      const indices = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, i) => first + i);
      noGrad(() => scope(() => void block.forwardFull(readNeeded(stream, [block], indices), observe)));
    }
  };
  const found = new Map<string, Histogram>();
  show((value, x) => {
    // Read together: a device is waited for once.
    const [least = 0, most = 0] = Tensor.stack([x.amin(), x.amax()]).toFloat32Array();
    const { low = 0, high = 0 } = found.get(value) ?? {};
    found.set(value, { low: Math.min(low, least), high: Math.max(high, most), counts: new Float64Array(BINS) });
  });
  show((value, x) => {
    const { low, high, counts } = found.get(value) as Histogram;
    if (high === low) return;
    callTensor("aten::histc", [x, BINS, low, high])
      .toFloat32Array()
      .forEach((count, i) => {
        counts[i] = (counts[i] as number) + count;
      });
  });
  return found;
}
