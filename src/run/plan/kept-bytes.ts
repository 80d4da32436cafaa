import { KEPT_STATE_BYTES } from "../journal/manifest.js";
import type { LinearPlan } from "./linear-plans.js";
import { groupsOf, sum, weightsOf } from "./memory-model.js";

/** Codes as a run keeps them: a byte a code, five a group. */
export function codeBytes(linears: readonly LinearPlan[]): number {
  return sum(linears, weightsOf) + sum(linears, groupsOf) * 5;
}

/**
 * What is kept between windows, so that a run can continue. Two states at least exist while one replaces the other.
 *
 * @param one bytes of what the next window starts from
 */
export function keptStateBytes(one: number, windows: number): number {
  return Math.min(one * Math.max(0, windows - 1), Math.max(2 * one, KEPT_STATE_BYTES + one));
}
