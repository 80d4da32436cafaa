import type { PortStore, Ports } from "../../calibration/port-store.js";
import type { UnitPlan } from "../../network/index.js";

/**
 * Ports that a window can't be computed without, of those where it begins; undefined for all of them. In a U-Net most ports are
 * on their way to a later block, and reading them at every step would take longer than the step.
 */
export function neededPorts(units: readonly { readonly plan: UnitPlan }[]): ReadonlySet<string> | undefined {
  const needed = new Set<string>();
  const made = new Set<string>();
  for (const { plan } of units) {
    if (plan.needs === undefined) return undefined;
    for (const name of plan.needs) if (!made.has(name)) needed.add(name);
    for (const name of plan.writes) made.add(name);
  }
  return needed;
}

/** Ports that a window computes: what is held against its targets. */
export function writtenPorts(units: readonly { readonly plan: UnitPlan }[]): ReadonlySet<string> {
  return new Set(units.flatMap(({ plan }) => plan.writes));
}

/** Of some sequences of the stream in front of a window, the ports that it needs, on the compute device. */
export function readNeeded(
  stream: PortStore,
  units: readonly { readonly plan: UnitPlan }[],
  indices: readonly number[],
): Ports {
  return stream.read(indices, undefined, neededPorts(units));
}
