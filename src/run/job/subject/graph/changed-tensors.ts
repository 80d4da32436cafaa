import type { Graph, GraphNetwork } from "../../../../network/index.js";

/** Names of the tensors that are not the file's: of the layers that took a batch norm over. */
export function changedTensors(original: Graph, { cut }: GraphNetwork): readonly string[] {
  const isOther = (name: string | null): boolean =>
    name !== null && original.constants.get(name) !== cut.graph.constants.get(name);
  return cut.units.flatMap(({ layers }) =>
    layers.flatMap(({ plan: { module }, weight, bias }) => [
      ...(isOther(weight) ? [`${module}.weight`] : []),
      ...(isOther(bias) ? [`${module}.bias`] : []),
    ]),
  );
}
