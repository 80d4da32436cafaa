import { gainsOf, linearOf, normWeights, type Passage, type Site, type UnitWeights } from "../network/index.js";
import { type DType, Tensor } from "../tensor/index.js";

/**
 * Divides the channels of a site where they are made (the gains of a norm, or the rows of a Linear) and multiplies the
 * columns that read them, in place and in fp32, so that the unit computes the same function.
 *
 * @param scales one for each produced channel, positive
 * @param storedType dtype in which norms and biases are stored: they are rounded to it at once, and the columns make up for
 * what that did to the gains
 */
export function scaleSite(weights: UnitWeights, site: Site, scales: Tensor, storedType: DType): void {
  const { producer, consumers, passes } = site;
  if (producer === null || passes.kind === "none") {
    throw new TypeError(`nothing folds into the input of ${consumers.join(", ")}`);
  }
  const exact =
    producer.kind === "norm"
      ? divideNorm(weights, producer.name, scales, storedType)
      : divideRows(weights, producer.name, scales, storedType);
  const columns = asRead(passes, exact);
  for (const name of consumers) linearOf(weights, name).weight.mul_(columns);
}

/** Numbers of the produced channels `[channels]` as the consumers read them. */
export function asRead(passes: Passage, produced: Tensor): Tensor {
  if (passes.kind !== "heads") return produced;
  const { groups, times, width } = passes;
  return produced
    .reshape([groups, 1, width])
    .expand([groups, times, width])
    .reshape([groups * times * width]);
}

/** Numbers of what consumers read, brought together by `merge` (over dimension 1) for each produced channel. */
export function asProduced(passes: Passage, read: Tensor, merge: (byHead: Tensor) => Tensor): Tensor {
  if (passes.kind !== "heads") return read;
  const { groups, times, width } = passes;
  return merge(read.reshape([groups, times, width])).reshape([groups * width]);
}

function divideRows(weights: UnitWeights, name: string, scales: Tensor, storedType: DType): Tensor {
  const { weight, bias } = linearOf(weights, name);
  weight.div_(scales.unsqueeze(1));
  if (bias !== null) bias.copy_(bias.div(scales).to(storedType));
  return scales;
}

// Returns the factors that the gains, rounded as they will be stored, were divided by.
function divideNorm(weights: UnitWeights, name: string, scales: Tensor, storedType: DType): Tensor {
  const norm = normWeights(weights, name);
  const { bias, offset } = norm;
  const gains = gainsOf(norm);
  // Gains that are stored less one are rounded less one.
  const stored = (values: Tensor): Tensor => values.to(storedType).to("float32");
  const divided = gains.div(scales);
  const folded = offset === 0 ? stored(divided) : stored(divided.sub(offset)).add(offset);
  const exact = Tensor.where(folded.eq(0), Tensor.ones(folded.shape, { device: folded.device }), gains.div(folded));
  const kept = Tensor.where(folded.eq(0), gains, folded);
  norm.weight.copy_(offset === 0 ? kept : kept.sub(offset));
  if (bias !== null) bias.copy_(bias.div(exact).to(storedType));
  return exact;
}
