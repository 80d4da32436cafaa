import { Tensor } from "../../../../tensor/index.js";
import type { AttentionValues } from "../../../unit.js";
import { gainsOf, tensorOf, type UnitWeights } from "../../../unit-weights.js";
import type { AttentionSpec, HeadNormSpec, TemperatureSpec } from "../../spec/decoder-spec.js";
import type { Sublayer } from "../forward-context.js";
import { normalise } from "../normalise.js";
import { alibiSlopes } from "./alibi-slopes.js";
import { type AttentionInputs, causalAttention, composedAttention } from "./attention.js";
import { inChunks } from "./in-chunks.js";

/** Causal softmax attention of `x [batch, time, hidden]`, through its output Linear. */
export function softmaxAttention(attention: AttentionSpec, x: Tensor, { weights, context, apply }: Sublayer): Tensor {
  const { heads, kvHeads, headDim, valuesAreKeys, outputGate } = attention;
  const [batch, time] = [x.size(0), x.size(1)];
  const cache = context.cache?.keysAndValues;
  const offset = cache?.length ?? 0;
  const table = context.rotary.of(attention);
  const split = (y: Tensor, count: number): Tensor => y.reshape([batch, time, count, headDim]);
  const { positionedNorm, normsBehindPositions } = attention;
  const place = (y: Tensor): Tensor => {
    const byHead = y.transpose(1, 2);
    const turned = table === null ? byHead : table.rotate(byHead, offset);
    return positionedNorm === undefined ? turned : normalise(turned, null, positionedNorm);
  };
  const normed = (y: Tensor, name: "qNorm" | "kNorm", norm: HeadNormSpec | null): Tensor =>
    norm === null ? y : normalisedHeads(y, name, norm, weights);
  const placed = (y: Tensor, name: "qNorm" | "kNorm", norm: HeadNormSpec | null): Tensor =>
    normsBehindPositions === true ? normed(place(y), name, norm) : place(normed(y, name, norm));

  const [wanted, gate] = outputGate ? withGate(apply("q", x), attention) : [split(apply("q", x), heads), null];
  const keys = split(apply("k", x), kvHeads);
  const q = sharpened(placed(wanted, "qNorm", attention.qNorm), offset, attention.temperature);
  let k = placed(keys, "kNorm", attention.kNorm);
  const given = valuesAreKeys ? keys : split(apply("v", x), kvHeads);
  let v = (attention.vNorm === null ? given : normalise(given, null, attention.vNorm)).transpose(1, 2);

  const scores = scoring(attention, weights, x);
  context.attention?.({
    input: x,
    q,
    k,
    mix: (some, theirs, values) =>
      inChunks({ q: some, k: theirs, v: values, ...scores }, attention.chunk, composedAttention),
    unrotated: (form) => table?.unrotated(form, time) ?? form,
    headNorms: headNorms(weights, wanted, keys),
  });
  if (cache !== undefined) ({ keys: k, values: v } = cache.append(k, v));
  const mixed = inChunks({ q, k, v, ...scores }, attention.chunk, causalAttention)
    .transpose(1, 2)
    .reshape([batch, time, heads * headDim]);
  return apply("o", gate === null ? mixed : mixed.mul(gate.sigmoid()));
}

// Queries `[batch, heads, time, headDim]`, the first of them at `offset`.
function sharpened(q: Tensor, offset: number, temperature: TemperatureSpec | undefined): Tensor {
  const time = q.size(2);
  if (temperature === undefined || offset + time < temperature.floor) return q;
  const { floor, scale, first } = temperature;
  const factors = Float32Array.from(
    { length: time },
    (_, i) => 1 + scale * Math.log1p(Math.floor((offset + i + first) / floor)),
  );
  return q.mul(Tensor.from(factors).to(q.dtype).to(q.device).reshape([1, 1, time, 1]));
}

type Scoring = Omit<AttentionInputs, "q" | "k" | "v">;

function scoring(attention: AttentionSpec, weights: UnitWeights, like: Tensor): Scoring {
  const { slidingWindow, scale, softcap, alibi, sinks, heads } = attention;
  return {
    slidingWindow,
    scale,
    softcap,
    slopes: alibi ? Tensor.from(alibiSlopes(heads)).to(like.dtype).to(like.device) : null,
    sinks: sinks ? tensorOf(weights, "sinks") : null,
  };
}

// The rows of a head's gate follow those of its queries.
function withGate(both: Tensor, { heads, headDim }: AttentionSpec): readonly [queries: Tensor, gate: Tensor] {
  const [batch, time] = [both.size(0), both.size(1)];
  const byHead = both.reshape([batch, time, heads, 2 * headDim]);
  return [byHead.narrow(3, 0, headDim), byHead.narrow(3, headDim, headDim).reshape([batch, time, heads * headDim])];
}

// Of `y [batch, time, heads, headDim]`.
function normalisedHeads(y: Tensor, name: string, norm: HeadNormSpec, { norms }: UnitWeights): Tensor {
  const own = norms.get(name) ?? null;
  if (norm.over === "head") return normalise(y, own, norm);
  const [batch, time, count, width] = y.shape as readonly [number, number, number, number];
  return normalise(y.reshape([batch, time, count * width]), own, norm).reshape(y.shape);
}

function headNorms({ norms }: UnitWeights, queries: Tensor, keys: Tensor): AttentionValues["headNorms"] {
  const [q, k] = [norms.get("qNorm"), norms.get("kNorm")];
  if (q === undefined || k === undefined) return null;
  return { q: { before: queries, gains: gainsOf(q) }, k: { before: keys, gains: gainsOf(k) } };
}
