import type { Producer, Site } from "../../site.js";
import type { LayerPlan, NormPlan, TensorPlan } from "../../unit.js";
import {
  type DecoderSpec,
  type InnerNormRole,
  type LinearRole,
  linearName,
  type NormRole,
  type NormSpec,
  normName,
  type TensorRole,
  tensorName,
} from "../spec/decoder-spec.js";

/** The port of a decoder: hidden states `[batch, time, hidden]`. */
export const HIDDEN = "x";

/** What one sublayer adds to the plan of its unit; its Linears and sites in the order in which it computes them. */
export interface PartPlan {
  readonly layers: readonly LayerPlan[];
  readonly norms: readonly NormPlan[];
  readonly tensors: readonly TensorPlan[];
  /** Linears that read what the sublayer is given; a site that the block makes, because sublayers may share it. */
  readonly readers: readonly LinearRole[];
  readonly sites: readonly Site[];
}

/** Makes the plans of one block's parts. */
export class PartPlanner {
  constructor(
    readonly spec: DecoderSpec,
    readonly block: number,
  ) {}

  layer(
    role: LinearRole,
    [rows, columns]: readonly [rows: number, columns: number],
    {
      bias = false,
      addsTo = null,
      ...more
    }: Partial<Pick<LayerPlan, "bias" | "addsTo" | "protectedAs" | "experts" | "perToken">> = {},
  ): LayerPlan {
    return { name: role, module: linearName(this.spec, this.block, role), rows, columns, bias, addsTo, ...more };
  }

  /** Nothing for a norm without gains. */
  norm(role: NormRole | InnerNormRole, norm: NormSpec | null | undefined, width: number): readonly NormPlan[] {
    if (norm === null || norm === undefined || norm.gain === "none") return [];
    const { gain, bias } = norm;
    const module = normName(this.spec, this.block, role);
    return [{ name: role, module, gain, bias, width, ...(norm.matrix === true && { matrix: `${module}.matrix` }) }];
  }

  tensor(role: TensorRole, shape: readonly number[]): TensorPlan {
    return { name: role, tensor: tensorName(this.spec, this.block, role), shape };
  }
}

export function fromLayer(name: LinearRole): Producer {
  return { kind: "layer", name };
}

export function fromNorm(name: NormRole | InnerNormRole): Producer {
  return { kind: "norm", name };
}
