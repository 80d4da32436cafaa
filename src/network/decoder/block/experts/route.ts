import { Tensor } from "../../../../tensor/index.js";
import type { RouterGroups, RouterSpec } from "../../spec/experts/experts-spec.js";

/** The experts of every token, and what each of them counts. */
export interface Routing {
  /** int64 `[tokens, perToken]` */
  readonly experts: Tensor;
  /** fp32 `[tokens, perToken]` */
  readonly weights: Tensor;
}

/** Stored numbers of a router, `[experts]` each; null where it has none. */
export interface RouterTensors {
  readonly correction: Tensor | null;
  readonly expertScale: Tensor | null;
}

/**
 * Chooses the experts of every token by the router's logits `[tokens, experts]`. Differentiable in the weights; what is chosen is
 * not. Computed in fp32.
 * Sources: softmax and its order, Switch (arXiv 2101.03961) and Mixtral (2401.04088); groups, DeepSeek-V2 (2405.04434), section 2.2;
 * sigmoid with a correction for the choice, DeepSeek-V3 (2412.19437), section 2.1.2; SparseMixer-v2, GRIN (2409.12136), section 2.2.
 */
export function route(logits: Tensor, router: RouterSpec, perToken: number, tensors: RouterTensors): Routing {
  const wide = logits.dtype === "float64" ? logits : logits.to("float32");
  if (router.scores === "sparse-mixer") return sparseMixer(wide, router.tolerance ?? 0, perToken);
  const scores = scored(wide, router);
  const experts = choices(wide, scores, router, tensors.correction).topk(perToken).indices;
  const chosen = scores.gather(1, experts);
  const weights = router.scores === "chosen-softmax" ? chosen.softmax(-1) : chosen;
  const { normalised, scaling } = router;
  const shares = normalised === null ? weights : weights.div(weights.sum(-1, true).add(normalised.epsilon));
  const scaled = scaling === 1 ? shares : shares.mul(scaling);
  const { expertScale } = tensors;
  return { experts, weights: expertScale === null ? scaled : scaled.mul(perExpert(expertScale, experts, wide)) };
}

function scored(logits: Tensor, { scores }: RouterSpec): Tensor {
  switch (scores) {
    case "sparse-mixer":
    case "softmax":
      return logits.softmax(-1);
    case "sigmoid":
      return logits.sigmoid();
    case "chosen-softmax":
      return logits;
  }
}

// What experts are chosen by. Without corrections and groups the logits have the order of the scores, and no two of them meet at 1.
function choices(logits: Tensor, scores: Tensor, { groups }: RouterSpec, correction: Tensor | null): Tensor {
  if (correction === null && groups === null) return logits.detach();
  const corrected = correction === null ? scores.detach() : scores.detach().add(correction.to(scores.dtype));
  return groups === null ? corrected : bestGroups(corrected, groups);
}

// Experts of other groups than the best are never chosen, however small the scores of these are.
function bestGroups(scores: Tensor, { count, kept, by }: RouterGroups): Tensor {
  const [tokens, experts] = [scores.size(0), scores.size(1)];
  const size = experts / count;
  const grouped = scores.reshape([tokens, count, size]);
  const worth = by === "best" ? grouped.amax(2) : grouped.topk(Math.min(2, size)).values.sum(2);
  const best = worth.topk(kept).indices;
  const closed = marked(worth, best).eq(0).unsqueeze(2).expand([tokens, count, size]).reshape([tokens, experts]);
  return scores.maskedFill(closed, Number.NEGATIVE_INFINITY);
}

// One expert after the other: what it counts is its share among those that are left and not far behind it.
function sparseMixer(logits: Tensor, tolerance: number, perToken: number): Routing {
  const experts: Tensor[] = [];
  const weights: Tensor[] = [];
  let left = logits;
  for (let choice = 0; choice < perToken; choice++) {
    const best = left.detach().argmax(-1, true);
    const top = left.detach().gather(1, best);
    const behind = top.sub(logits.detach()).div(logits.detach().abs().maximum(top));
    weights.push(
      left
        .maskedFill(behind.gt(2 * tolerance), Number.NEGATIVE_INFINITY)
        .softmax(-1)
        .gather(1, best),
    );
    experts.push(best);
    left = left.maskedFill(marked(left, best).gt(0), Number.NEGATIVE_INFINITY);
  }
  return { experts: Tensor.cat(experts, 1), weights: Tensor.cat(weights, 1) };
}

// Ones at these places of every row, and zeros elsewhere.
function marked({ shape, dtype, device }: Tensor, places: Tensor): Tensor {
  return Tensor.zeros(shape, { dtype, device }).scatter(1, places, Tensor.ones(places.shape, { dtype, device }));
}

function perExpert(factors: Tensor, experts: Tensor, like: Tensor): Tensor {
  return factors
    .to(like.dtype)
    .indexSelect(0, experts.reshape([experts.numel]))
    .reshape(experts.shape);
}
