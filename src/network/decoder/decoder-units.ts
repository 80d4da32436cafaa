import type { Passage, Site } from "../site.js";
import type { LayerPlan, NormPlan, UnitPlan } from "../unit.js";
import {
  type DecoderSpec,
  hasBias,
  type InputSite,
  inBlock,
  inputSites,
  linearName,
  linearRoles,
  linearShape,
} from "./spec/decoder-spec.js";

/** The port of a decoder: hidden states `[batch, time, hidden]`. */
export const HIDDEN = "x";

/** The blocks of a decoder as units. */
export function decoderUnits(spec: DecoderSpec): readonly UnitPlan[] {
  return Array.from({ length: spec.blocks }, (_, block) => decoderUnit(spec, block));
}

function decoderUnit(spec: DecoderSpec, block: number): UnitPlan {
  const { names, norm, attention, hiddenSize, positions } = spec;
  const layers = linearRoles(spec).map((role): LayerPlan => {
    const [rows, columns] = linearShape(spec, role);
    const addsTo = role === "o" || role === "down" ? HIDDEN : null;
    return { name: role, module: linearName(spec, block, role), rows, columns, bias: hasBias(spec, role), addsTo };
  });
  const blockNorms = (["attentionNorm", "mlpNorm"] as const).map(
    (role): NormPlan => ({ name: role, module: inBlock(names.norms[role], block), kind: norm.kind, width: hiddenSize }),
  );
  const headNorms = (["qNorm", "kNorm"] as const).map(
    (name): NormPlan => ({ name, module: inBlock(names[name], block), kind: "rms", width: attention.headDim }),
  );
  const norms = attention.qkNorm ? [...blockNorms, ...headNorms] : blockNorms;
  return {
    index: block,
    layers,
    norms,
    sites: inputSites(spec).map((site) => siteAlong(spec, site)),
    writes: [HIDDEN],
    attention: {
      query: "q",
      key: "k",
      value: "v",
      output: "o",
      heads: attention.heads,
      kvHeads: attention.kvHeads,
      headDim: attention.headDim,
      scores: attention.qkNorm ? "none" : positions.kind === "rotary" ? "pairs" : "any",
    },
  };
}

function siteAlong(spec: DecoderSpec, { producer, linears }: InputSite): Site {
  const kind = producer === "v" || producer === "up" ? "layer" : "norm";
  return { producer: { kind, name: producer }, consumers: linears, passes: passage(spec, producer) };
}

function passage({ attention, mlp }: DecoderSpec, producer: InputSite["producer"]): Passage {
  if (producer === "v") {
    const { heads, kvHeads, headDim } = attention;
    return { kind: "heads", groups: kvHeads, times: heads / kvHeads, width: headDim };
  }
  // A gate multiplies what `up` gives.
  if (producer !== "up" || mlp.kind === "gated") return { kind: "linear" };
  return mlp.activation === "relu" ? { kind: "positive" } : { kind: "none" };
}
