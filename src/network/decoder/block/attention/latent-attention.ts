import { Tensor } from "../../../../tensor/index.js";
import { normWeights } from "../../../unit-weights.js";
import type { LatentAttentionSpec } from "../../spec/decoder-spec.js";
import type { Sublayer } from "../forward-context.js";
import { normalise } from "../normalise.js";
import { causalAttention } from "./attention.js";

/**
 * Attention whose queries, keys and values come through narrow latents, and whose heads share the part of their keys that positions
 * turn. Source: DeepSeek-V2 (arXiv 2405.04434), section 2.1, equations 9 to 19.
 */
export function latentAttention(latent: LatentAttentionSpec, x: Tensor, { weights, context, apply }: Sublayer): Tensor {
  const { heads, queryRank, rank, plainDim, rotaryDim, valueDim, norm, scale } = latent;
  const [batch, time] = [x.size(0), x.size(1)];
  const cache = context.cache?.keysAndValues;
  const offset = cache?.length ?? 0;
  const table = context.rotary.of(latent);
  const turned = (y: Tensor): Tensor => table?.rotate(y, offset) ?? y;
  const byHead = (y: Tensor, width: number): Tensor => y.reshape([batch, time, heads, width]).transpose(1, 2);

  const queries = byHead(
    queryRank === null
      ? apply("q", x)
      : apply("qUp", normalise(apply("qDown", x), normWeights(weights, "qLatentNorm"), norm)),
    plainDim + rotaryDim,
  );
  const q = Tensor.cat([queries.narrow(3, 0, plainDim), turned(queries.narrow(3, plainDim, rotaryDim))], 3);
  const down = apply("kvDown", x);
  const sharedKeys = turned(down.narrow(2, rank, rotaryDim).unsqueeze(1));
  const up = byHead(
    apply("kvUp", normalise(down.narrow(2, 0, rank), normWeights(weights, "kvLatentNorm"), norm)),
    plainDim + valueDim,
  );
  let k = Tensor.cat([up.narrow(3, 0, plainDim), sharedKeys.expand([batch, heads, time, rotaryDim])], 3);
  let v = up.narrow(3, plainDim, valueDim);
  if (cache !== undefined) ({ keys: k, values: v } = cache.append(k, v));
  const mixed = causalAttention({ q, k, v, slidingWindow: null, scale });
  return apply("o", mixed.transpose(1, 2).reshape([batch, time, heads * valueDim]));
}
