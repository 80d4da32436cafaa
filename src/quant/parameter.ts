import type { Bounds, ParameterGroup, Tensor } from "../tensor/index.js";

/** What a trained tensor means for what it belongs to: rates, bounds and reports are by role. */
export const roles = [
  /** A weight itself, or its offset from what was stored. */
  "weight",
  /** How weights are rounded: an offset in code units, or a soft choice between floor and ceiling. */
  "rounding",
  /** Logarithm of a scale over its starting value. */
  "scale",
  /** In code units. */
  "zeroPoint",
  /** How far a weight's range reaches. */
  "clip",
  /** How far the range of a quantized input reaches. */
  "input",
  /** A gain or shift of a norm. */
  "norm",
  /** A transform between what makes a value and what reads it. */
  "affine",
  /** A factor of a low-rank term. */
  "lowRank",
] as const;

export type Role = (typeof roles)[number];

/** A tensor that is trained. */
export interface Parameter {
  readonly role: Role;
  /** Distinct among those of its owner: what it is saved and restored by. */
  readonly name: string;
  /** A leaf with a gradient, owned by whoever has the parameter. */
  readonly tensor: Tensor;
  /** What every step puts it back into. */
  readonly bounds?: Bounds;
}

/** The same parameters under the name of their owner: `model.layers.0.self_attn.q_proj.scale`. */
export function parametersOf(owner: string, parameters: readonly Parameter[]): Parameter[] {
  return parameters.map((parameter) => ({ ...parameter, name: `${owner}.${parameter.name}` }));
}

/** Adam's rate by role; parameters of other roles stay as they are. */
export type Rates = Readonly<Partial<Record<Role, number>>>;

/** What Adam trains of these parameters. */
export function parameterGroups(parameters: readonly Parameter[], rates: Rates): ParameterGroup[] {
  return parameters.flatMap(({ role, tensor, bounds }) => {
    const rate = rates[role];
    return rate === undefined ? [] : [{ rate, parameters: [tensor], bounds }];
  });
}

/** The tensors of a role, in order. */
export function tensorsOf(parameters: readonly Parameter[], role: Role): Tensor[] {
  return parameters.filter((parameter) => parameter.role === role).map(({ tensor }) => tensor);
}
