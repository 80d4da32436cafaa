import { OptionError } from "../../errors.js";
import type { Network } from "../../network/index.js";

/** A network with every layer a unit of its own. @throws OptionError where its units can't be cut further */
export function singleLayers(network: Network): Network {
  const single = network.inLayers?.();
  if (single !== undefined) return single;
  throw new OptionError({
    where: 'option "brecq.unit"',
    what: "decoder blocks are not cut into layers",
    why: "only the units of ONNX graphs are found in the network itself",
    next: "use --set brecq.unit=block",
  });
}
