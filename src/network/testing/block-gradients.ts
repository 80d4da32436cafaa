import { gradientsOf, manualSeed, Tensor } from "../../tensor/index.js";
import { forwardBlock } from "../decoder/block/forward-block.js";
import { RotaryTables } from "../decoder/block/rotary/rotary-tables.js";
import { blockOf, type DecoderSpec } from "../decoder/spec/decoder-spec.js";
import type { UnitWeights } from "../unit-weights.js";

/**
 * Of a block's input and of the weight of each Linear: the gradient of a fixed sum of its outputs along a random direction, and
 * the slope between two points on it. In fp64, over 6 positions.
 *
 * @param weights of the block, in fp64
 * @param step from the point to either side
 */
export function gradientsAndSlopes(
  spec: DecoderSpec,
  index: number,
  weights: UnitWeights,
  step: number,
): readonly (readonly [gradient: number, slope: number])[] {
  using rotary = RotaryTables.create(spec, 6, "cpu", "float64");
  const leaves = new Map<string, Tensor>();
  for (const [role, { weight }] of weights.layers) leaves.set(role, weight.detach().clone().requiresGrad_());
  manualSeed(3);
  const x = Tensor.randn([1, 6, spec.hiddenSize]).to("float64").requiresGrad_();
  const direction = Tensor.randn([1, 6, spec.hiddenSize]).to("float64");
  const loss = (input: Tensor, of: ReadonlyMap<string, Tensor>): Tensor =>
    forwardBlock(blockOf(spec, index), weights, input, {
      rotary,
      product: (role, y, { bias }) => y.linear(of.get(role) as Tensor, bias),
    })
      .mul(direction)
      .sum();
  const inputs = [x, ...leaves.values()];
  const gradients = gradientsOf([loss(x, leaves)], inputs);
  return inputs.map((input, i) => {
    const along = Tensor.randn(input.shape).to("float64");
    const at = (size: number): number => {
      const moved = (y: Tensor): Tensor => (y === input ? y.detach().add(along.mul(size)) : y.detach());
      return loss(moved(x), new Map([...leaves].map(([role, y]) => [role, moved(y)]))).item();
    };
    return [gradients[i]?.mul(along).sum().item() ?? Number.NaN, (at(step) - at(-step)) / (2 * step)];
  });
}
