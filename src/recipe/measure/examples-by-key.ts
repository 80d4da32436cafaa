import type { PortStore } from "../../calibration/port-store.js";
import { noGrad, scope } from "../../tensor/index.js";

/** Numbers of the examples of a stream by the value that a port has for them, ascending, as fp32 has it. */
export function examplesByKey(stream: PortStore, port: string): ReadonlyMap<number, readonly number[]> {
  const store = stream.stores.get(port);
  if (store === undefined) throw new TypeError(`there is no port "${port}" here`);
  const all = Array.from({ length: store.shape.sequences }, (_, i) => i);
  const values = noGrad(() => scope(() => store.read(all).to("float32").toFloat32Array()));
  if (values.length !== all.length) throw new TypeError(`"${port}" is not one number for each example`);
  const found = new Map<number, number[]>();
  for (const [i, value] of values.entries()) found.set(value, [...(found.get(value) ?? []), i]);
  return new Map([...found].sort(([a], [b]) => a - b));
}
