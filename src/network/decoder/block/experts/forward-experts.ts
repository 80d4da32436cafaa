import { type RowGroups, rowGroups, scope, Tensor } from "../../../../tensor/index.js";
import type { ExpertsRole, ExpertsSpec } from "../../spec/experts/experts-spec.js";
import { activateGate } from "../activation.js";
import { type RouterTensors, route } from "./route.js";
import { type TokenOrder, tokenOrder } from "./token-order.js";

/** What experts compute with. */
export interface ExpertsContext {
  /** A Linear of what it reads, `[rows, in]`; of those of the experts the rows lie sorted by expert. */
  readonly apply: (role: ExpertsRole, input: Tensor, groups?: RowGroups) => Tensor;
  readonly tensors: RouterTensors;
  /** Experts that see every token once more, for those who watch. */
  readonly through?: readonly number[];
}

/**
 * A mixture of experts of `x [..., hidden]`, with what every token passes beside them: the same shape. Tokens are sorted by
 * expert, so that all experts are one grouped product for each Linear. Differentiable, also through the weights of the router.
 *
 * @param routerInput what the router reads, of the shape of `x`
 */
export function forwardExperts(spec: ExpertsSpec, x: Tensor, routerInput: Tensor, context: ExpertsContext): Tensor {
  const rows = (of: Tensor): Tensor => of.reshape([of.numel / of.size(-1), of.size(-1)]);
  const tokens = rows(x);
  const logits = context.apply("router", rows(routerInput));
  const { experts, weights } = route(logits, spec.router, spec.perToken, context.tensors);
  const order = tokenOrder(experts, spec.count);
  const routed = routedSum(spec, tokens, weights.to(x.dtype), order, context);
  for (const expert of context.through ?? []) passThrough(spec, tokens, expert, context);
  const sum = spec.shared === null ? routed : routed.add(sharedExpert(spec, tokens, context));
  return sum.reshape(x.shape);
}

function routedSum(
  spec: ExpertsSpec,
  tokens: Tensor,
  weights: Tensor,
  order: TokenOrder,
  { apply }: ExpertsContext,
): Tensor {
  const { groups } = order;
  const copies = order.sorted(tokens);
  const input = spec.weighsInput ? copies.mul(order.sortedPairs(weights).unsqueeze(1)) : copies;
  const inside = activateExpert(spec, apply("expertGate", input, groups), apply("expertUp", input, groups));
  const given = order.byToken(apply("expertDown", inside, groups));
  return (spec.weighsInput ? given : given.mul(weights.unsqueeze(2))).sum(1);
}

// All tokens through one expert, each with the weight 1.
function passThrough(spec: ExpertsSpec, tokens: Tensor, expert: number, { apply }: ExpertsContext): void {
  const { device } = tokens;
  scope(() => {
    const ids = Tensor.zeros([tokens.size(0)], { dtype: "int64", device }).add(expert);
    const groups = { ...rowGroups(ids, spec.count), dropped: true } as const;
    const inside = activateExpert(spec, apply("expertGate", tokens, groups), apply("expertUp", tokens, groups));
    apply("expertDown", inside, groups);
  });
}

function activateExpert({ clamped, activation }: ExpertsSpec, gate: Tensor, up: Tensor): Tensor {
  if (clamped === null) return activateGate(gate, up, activation);
  const { limit, alpha } = clamped;
  const g = gate.clamp(null, limit);
  return g.mul(g.mul(alpha).sigmoid()).mul(up.clamp(-limit, limit).add(1));
}

function sharedExpert({ activation, shared }: ExpertsSpec, tokens: Tensor, { apply }: ExpertsContext): Tensor {
  const inside = activateGate(apply("sharedGate", tokens), apply("sharedUp", tokens), activation);
  const given = apply("sharedDown", inside);
  return shared?.gate === true ? given.mul(apply("sharedExpertGate", tokens).sigmoid()) : given;
}
