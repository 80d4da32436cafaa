import type { PortStore, Ports } from "../../calibration/port-store.js";
import { linearOf, multiplied } from "../../network/index.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { readNeeded } from "../../reconstruct/training/window-ports.js";
import { keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { WindowWork } from "../recipe.js";

/** Examples that means are taken over, at most. */
const EXAMPLES = 512;

/**
 * Gives the layers of a block the biases with which their outputs have, by channel, the mean that they have in full precision: one
 * layer after the other, so that each makes up for what those before it left, and layers that stay in full precision too. Rounding
 * moves means, and where a network's output is fed back to it, as a sampler does, such errors add up at every step while others
 * cancel. A layer without a bias, or with one that others read too, stays as it is.
 * Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (arXiv 1906.04721), section 4.2 and
 * appendix D, its empirical form.
 */
export function correctBiases({ job, parts, input, fullInput }: WindowWork, block: QuantizedUnit): void {
  if (input === null || fullInput === null) throw new TypeError("biases are corrected on both streams");
  const layers = block.plan.layers.filter(({ bias, sharesBias }) => bias && sharesBias !== true);
  block.previewHard();
  const means = (stream: PortStore, wanted: ReadonlySet<string>, run: Run): ReadonlyMap<string, Float64Array> => {
    const sums = new Map<string, Float64Array>();
    const count = Math.min(EXAMPLES, stream.shape.sequences);
    noGrad(() =>
      parts.each(count, (part) => {
        job.poll();
        const add = (name: string, mean: Float32Array): void => {
          const sum = sums.get(name) ?? new Float64Array(mean.length);
          sums.set(
            name,
            sum.map((value, i) => value + ((mean[i] as number) * part.length) / count),
          );
        };
        scope(() =>
          run(
            readNeeded(stream, [block], part),
            (name, output, byRow) => add(name, channelMeans(output(), byRow)),
            wanted,
          ),
        );
      }),
    );
    return sums;
  };
  const full = means(fullInput, new Set(layers.map(({ name }) => name)), (x, see, wanted) => {
    block.forwardFull(x, (name, given, linear, groups) => {
      const output = (): Tensor => multiplied(given, linear.weight, linear, groups);
      if (wanted.has(name)) scope(() => see(name, output, linear.product === undefined));
    });
  });
  for (const { name, biasType = "float32" } of layers) {
    const actual = means(input, new Set([name]), (x, see, wanted) => {
      block.forwardQuantized(x, (layer, given, linear, groups) => {
        const output = (): Tensor =>
          block.product(layer, given, linear, x, groups) ?? multiplied(given, linear.weight, linear, groups);
        if (wanted.has(layer)) scope(() => see(layer, output, linear.product === undefined));
      });
    }).get(name);
    const wanted = full.get(name);
    const { bias } = linearOf(block.weights, name);
    if (actual === undefined || wanted === undefined || bias === null) continue;
    const shift = Float32Array.from(wanted, (value, i) => value - (actual[i] as number));
    // What reads nothing that is quantized is exact.
    if (shift.every((value) => value === 0)) continue;
    const moved = (): Tensor => bias.to("float32").add(Tensor.from(shift).to(job.device)).to(biasType).to(bias.dtype);
    block.replaceBias(name, keep(noGrad(() => scope(moved))));
  }
}

/** Runs a block, and shows the outputs of the layers that are wanted; `byRow`: channels are the last dimension. */
type Run = (
  x: Ports,
  see: (name: string, output: () => Tensor, byRow: boolean) => void,
  wanted: ReadonlySet<string>,
) => void;

/** Means by channel: of `[..., channels]` by row, else of `[examples, channels, ...]`. */
function channelMeans(output: Tensor, byRow: boolean): Float32Array {
  const channels = output.size(byRow ? -1 : 1);
  const wide = output.detach().to("float32");
  if (byRow) return wide.reshape([-1, channels]).mean(0).toFloat32Array();
  return wide
    .reshape([output.size(0), channels, -1])
    .mean(2)
    .mean(0)
    .toFloat32Array();
}
