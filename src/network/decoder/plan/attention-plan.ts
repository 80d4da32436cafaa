import type { Passage, Site } from "../../site.js";
import type { AttentionPlan } from "../../unit.js";
import type { AttentionSpec, HeadNormSpec } from "../spec/decoder-spec.js";
import { fromLayer, type PartPlan, type PartPlanner } from "./part-plan.js";

/** Linears, norms and sites of softmax attention; `addsTo` is where its output goes. */
export function attentionPlan(plan: PartPlanner, attention: AttentionSpec, addsTo: string | null): PartPlan {
  const { heads, kvHeads, headDim, qkvBias: bias, outBias, valuesAreKeys, outputGate, sinks } = attention;
  const { hiddenSize } = plan.spec;
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  const width = (norm: HeadNormSpec | null, count: number): number => (norm?.over === "heads" ? count : 1) * headDim;
  const values = valuesAreKeys ? [] : [plan.layer("v", [keys, hiddenSize], { bias })];
  return {
    layers: [
      plan.layer("q", [outputGate ? 2 * queries : queries, hiddenSize], { bias }),
      plan.layer("k", [keys, hiddenSize], { bias }),
      ...values,
      plan.layer("o", [hiddenSize, queries], { bias: outBias, addsTo }),
    ],
    norms: [
      ...plan.norm("qNorm", attention.qNorm, width(attention.qNorm, heads)),
      ...plan.norm("kNorm", attention.kNorm, width(attention.kNorm, kvHeads)),
    ],
    tensors: sinks ? [plan.tensor("sinks", [heads])] : [],
    readers: valuesAreKeys ? ["q", "k"] : ["q", "k", "v"],
    sites: [outputSite(attention)],
  };
}

function outputSite({ heads, kvHeads, headDim, valuesAreKeys, vNorm, outputGate }: AttentionSpec): Site {
  // The norm of the keys, or that of the values, takes a factor back.
  if (valuesAreKeys) return { producer: null, consumers: ["o"], passes: { kind: "none" } };
  const passes: Passage =
    vNorm === null
      ? { kind: "heads", groups: kvHeads, times: heads / kvHeads, width: headDim, mixes: !outputGate }
      : { kind: "none" };
  return { producer: fromLayer("v"), consumers: ["o"], passes };
}

/**
 * Attention as factors of its Linears; undefined where its scores are not plainly `q k^T` of these, or its values not what `v`
 * gives.
 */
export function attentionFactors(attention: AttentionSpec): AttentionPlan | undefined {
  const { heads, kvHeads, headDim, softcap, sinks, alibi, outputGate, valuesAreKeys, qNorm, kNorm, vNorm } = attention;
  const overAll = [qNorm, kNorm].some((norm) => norm !== null && norm.over === "heads");
  const plain = softcap === null && !sinks && !alibi && !outputGate && !valuesAreKeys && vNorm === null && !overAll;
  if (!plain || attention.normsBehindPositions === true) return undefined;
  return { query: "q", key: "k", value: "v", output: "o", heads, kvHeads, headDim, scores: keptScores(attention) };
}

// A pair of channels that turns together may be scaled alike; a norm takes any factor back.
function keptScores({ qNorm, positionedNorm, rotary, headDim }: AttentionSpec): AttentionPlan["scores"] {
  if (qNorm !== null || positionedNorm !== undefined) return "none";
  if (rotary === null) return "any";
  // Pairs of halves, over all of a head, are those that a transform knows.
  return rotary.pairs === "halves" && rotary.width === headDim ? "pairs" : "none";
}
