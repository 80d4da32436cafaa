import { FormatError } from "../../errors.js";
import type { DecoderSpec } from "../../network/index.js";
import { type Arranged, arrangedSource } from "../arranged-source.js";
import type { ExportSource } from "../contract/export-source.js";
import { fusedViews } from "../source/fused-views.js";
import { networkSource } from "../source/network-source.js";
import { sourceSpec } from "../source/source-spec.js";
import { zeroPointsOf } from "./decode.js";
import { mlxFamily, networkName } from "./families.js";
import type { MlxFolder } from "./read.js";
import { computedTensors } from "./stored-as-mlx.js";

/**
 * An MLX folder by the names of its network, to compute with. Its weights count as asymmetric, because the format does not tell.
 *
 * @throws FormatError for a family whose folders are not read; ModelError for one that crossblock does not compute
 */
export function mlxNetwork(folder: MlxFolder): ExportSource {
  const family = mlxFamily(folder.config);
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
    const stacked = (info.shape.length > 2 && !isConvolution(info.name)) || isStackedBias(info.name, folder);
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
  const spec = sourceSpec(stored);
  const views = fusedViews(spec);
  const ours = arrangedSource(stored, family.asComputed === true ? storedTensors(spec, stored) : new Map());
  return networkSource(ours, { plain: views, coded: views });
}

// As a checkpoint has them: in fp32, because the rounding of a gain plus one is not undone in fewer bits.
function storedTensors(spec: DecoderSpec, { plain }: ExportSource): ReadonlyMap<string, Arranged> {
  return new Map(
    [...computedTensors(spec)].map(([name, { convert }]): [string, Arranged] => {
      const [channels = 0, kernel = 0, one = 0] = plain.get(name)?.shape ?? [];
      if (convert === undefined) return [name, { from: name, shape: [channels, one, kernel] }];
      return [name, { from: name, widened: true, convert: (gain) => gain - 1 }];
    }),
  );
}

function isConvolution(name: string): boolean {
  return name.endsWith(".conv1d.weight");
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
