import type { Ports } from "../../calibration/port-store.js";
import { forwardAll, type QuantizedUnit } from "../quantized-unit.js";
import { writtenPorts } from "./window-ports.js";

/** What a window's units, quantized, write of the ports that they are given: what is held against its targets. */
export function windowOutput(units: readonly QuantizedUnit[], x: Ports): Ports {
  const written = writtenPorts(units);
  const output = forwardAll(units, x, (unit, ports) => unit.forwardQuantized(ports));
  return Object.fromEntries(Object.entries(output).filter(([name]) => written.has(name)));
}
