import { FormatError } from "../../errors.js";
import type { ExportSource } from "../contract/export-source.js";
import { fusedViews } from "../source/fused-views.js";
import { networkSource } from "../source/network-source.js";
import { sourceSpec } from "../source/source-spec.js";
import { zeroPointsOf } from "./decode.js";
import { mlxFamily, networkName } from "./families.js";
import type { MlxFolder } from "./read.js";

/**
 * An MLX folder by the names of its network, to compute with. Its weights count as asymmetric, because the format does not tell.
 *
 * @throws FormatError for a family whose folders are not read; ModelError for one that crossblock does not compute
 */
export function mlxNetwork(folder: MlxFolder): ExportSource {
  const family = mlxFamily(folder.family);
  const back = new Map<string, string>();
  const named = (name: string): string => {
    const network = networkName(name, family);
    back.set(network, name);
    return network;
  };
  const original = (name: string): string => back.get(name) ?? name;
  const linears = [...folder.modules].map(([name, { bits, groupSize, rows, columns }]) => {
    const layout = { bits, groupSize, rows, columns, perChannel: false, symmetric: false };
    return [named(name), layout] as const;
  });
  const plain = [...folder.plain.values()].map((info) => {
    const [experts = 1, rows = 1, ...others] = info.shape;
    const stacked = info.shape.length > 2 || isStackedBias(info.name, folder);
    const name = named(info.name);
    return [name, { ...info, name, shape: stacked ? [experts * rows, ...others] : info.shape }] as const;
  });
  const stored: ExportSource = {
    config: folder.config,
    folder: folder.folder,
    linears: new Map(linears),
    plain: new Map(plain),
    activations: null,
    inputScales: new Map(),
    async readQuantized(name) {
      const weight = await folder.readAffine(original(name));
      const zeroPoints = zeroPointsOf(weight);
      if (zeroPoints === null) return otherBiases(original(name));
      const { biases: _, ...codes } = weight;
      return { ...codes, perChannel: false, symmetric: false, zeroPoints };
    },
    readPlain: (name) => folder.readPlain(original(name)),
  };
  const views = fusedViews(sourceSpec(stored));
  return networkSource(stored, { plain: views, coded: views });
}

// `[experts, out]`, beside codes of three dimensions.
function isStackedBias(name: string, { modules }: MlxFolder): boolean {
  return name.endsWith(".bias") && modules.get(name.slice(0, -".bias".length))?.shape.length === 3;
}

function otherBiases(name: string): never {
  throw new FormatError({
    what: "its biases are no whole multiples of its scales",
    where: name,
    why: "another program rounded them, and crossblock computes with zero points that are codes",
    next: "give the model that this was made from, or crossblock's own result",
  });
}
