import { mapPorts, type Ports, portOf } from "../calibration/port-store.js";
import type { NetworkEnd } from "../network/index.js";
import { keep, noGrad, scope, type Tensor } from "../tensor/index.js";
import type { OutputLoss } from "./objective/output-objective.js";

/** A unit that is computed once on the way forward, and once more on the way back. */
export interface RecomputedUnit {
  /** Its output; nobody passes back through it. */
  forward(x: Ports): Ports;
  /**
   * From the gradients of its output to those of its input, and to those of what it trains on the way.
   *
   * @returns owned by the caller
   */
  backward(input: Ports, gradients: Ports, isFirst: boolean): Ports;
}

/**
 * The loss of a network's output, and the gradients of what its units train. Units keep nothing but their inputs on the way forward
 * and are computed once more on the way back, so memory holds the activations of a single unit.
 *
 * @param read the first unit's input
 * @param descend the loss of the output at the end's port, and its gradient there
 * @param collect takes the gradients of what `read` gave
 */
export function descendThroughUnits(
  units: readonly RecomputedUnit[],
  read: () => Ports,
  { port }: Pick<NetworkEnd, "port">,
  descend: (output: Tensor) => OutputLoss,
  collect?: (gradients: Ports) => void,
): number {
  const inputs = forward(units, read);
  let gradients: Ports = {};
  try {
    const output = inputs.pop() as Ports;
    let loss: number;
    try {
      const descent = descend(portOf(output, port));
      gradients = { [port]: descent.gradient };
      loss = descent.loss.item();
      descent.loss.dispose();
    } finally {
      free(output, inputs.at(-1));
    }
    for (const unit of [...units].reverse()) {
      const before = inputs.pop() as Ports;
      const after = gradients;
      try {
        gradients = unit.backward(before, after, inputs.length === 0);
      } finally {
        free(before, inputs.at(-1));
        free(after, gradients);
      }
    }
    collect?.(gradients);
    return loss;
  } finally {
    free(gradients);
    freeAll(inputs);
  }
}

/**
 * What a unit passes back: the gradients that arrived at `leaves`, its inputs, and those of ports that it does not write, which
 * pass it as they are.
 */
export function gradientsOfInputs(leaves: Ports, gradients: Ports, writes: readonly string[]): Ports {
  const passed = Object.fromEntries(Object.entries(gradients).filter(([name]) => !writes.includes(name)));
  const read = Object.entries(leaves).flatMap(([name, { grad }]) => {
    if (grad === null) return [];
    const beside = passed[name];
    return [[name, beside === undefined ? grad.detach() : grad.add(beside)] as const];
  });
  return { ...passed, ...Object.fromEntries(read) };
}

// The input of every unit, and the last one's output after them.
function forward(units: readonly RecomputedUnit[], read: () => Ports): Ports[] {
  const kept = (make: () => Ports): Ports =>
    mapPorts(
      noGrad(() => scope(make)),
      keep,
    );
  const ports = [kept(read)];
  try {
    for (const unit of units) {
      const x = ports[ports.length - 1] as Ports;
      ports.push(kept(() => unit.forward(x)));
    }
    return ports;
  } catch (error) {
    freeAll(ports);
    throw error;
  }
}

function freeAll(ports: readonly Ports[]): void {
  ports.forEach((each, i) => {
    free(each, ports[i - 1]);
  });
}

// Frees tensors that are not among those of `kept`: ports that a unit does not write pass it as they are.
function free(ports: Ports, kept: Ports = {}): void {
  const alive = new Set(Object.values(kept));
  for (const tensor of Object.values(ports)) if (!alive.has(tensor)) tensor.dispose();
}
