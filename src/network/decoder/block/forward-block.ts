import type { Tensor } from "../../../tensor/index.js";
import { applyLinear } from "../../apply-linear.js";
import { tensorOf, type UnitWeights } from "../../unit-weights.js";
import type { BlockSpec, NormRole } from "../spec/decoder-spec.js";
import type { ForwardContext, Sublayer } from "./forward-context.js";
import { mixPositions } from "./mixer.js";
import { blockMlp } from "./mlp.js";
import { normalise } from "./normalise.js";

/**
 * One block: attention and MLP, each with the norms that the block has before and behind it, added to the stream one after the
 * other or both at once. Input and output `[batch, time, hidden]`; differentiable; needs nothing but its own input stream.
 */
export function forwardBlock(block: BlockSpec, weights: UnitWeights, x: Tensor, context: ForwardContext): Tensor {
  const sublayer: Sublayer = {
    weights,
    context,
    apply: (role, input, groups) => applyLinear(weights, context, role, input, { groups }),
  };
  const norm = (role: NormRole, y: Tensor): Tensor => {
    const spec = block.norms[role];
    return spec === undefined ? y : normalise(y, weights.norms.get(role) ?? null, spec);
  };
  const added = (stream: Tensor, y: Tensor): Tensor =>
    stream.add(block.residualMultiplier === 1 ? y : y.mul(block.residualMultiplier));

  const input = norm("attentionNorm", x);
  const attended = added(x, norm("attentionPostNorm", mixPositions(block.attention, input, sublayer)));
  const parallel = block.arrangement === "parallel";
  const stream = parallel ? x : attended;
  const mlpInput = parallel && block.norms.mlpNorm === undefined ? input : norm("mlpNorm", stream);
  const output = added(attended, norm("mlpPostNorm", blockMlp(block, { input: mlpInput, stream, norm }, sublayer)));
  return block.outputScalar ? output.mul(tensorOf(weights, "outputScalar")) : output;
}
