import { requireString } from "../../checkpoint/model-config.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import type { ExportSource } from "../contract/export-source.js";
import { expertCounts, fusedViews } from "../source/fused-views.js";
import { sourceCensus } from "../source/source-census.js";
import { sourceSpec } from "../source/source-spec.js";
import { storedSource } from "../source/stored-source.js";
import { type MlxFamily, mlxFamily, mlxName } from "./families.js";

/** A result by mlx-lm's names, its experts stacked. */
export interface StoredAsMlx {
  readonly source: ExportSource;
  /** Experts of a module that stacks them. */
  readonly experts: ReadonlyMap<string, number>;
  /** The module or tensor of the result that one of the file is; null where it holds several. */
  readonly origin: (name: string) => string | null;
}

/**
 * A result as mlx-lm loads it: what its modules are called, fused Linears as the checkpoint fuses them and never transposed, the
 * Linears of experts stacked. Tensors that the network does not read are left out, because mlx-lm refuses unknown ones.
 *
 * @throws FormatError for a family that mlx-lm lacks, or loads in a form that is not written here; ModelError for one that crossblock
 *   does not compute
 */
export function storedAsMlx(result: ExportSource): StoredAsMlx {
  const family = mlxFamily(requireString(result.config, "model_type"));
  const spec = sourceSpec(result);
  const read = sourceCensus(result)?.read;
  const plain = new Map([...result.plain].filter(([name]) => read === undefined || read.has(name)));
  const views = fusedViews(spec);
  const stored = storedSource({ ...result, plain }, { plain: views, coded: views });
  const counts = expertCounts(spec);
  const named = (name: string): string => mlxName(name, family);
  const back = new Map([...stored.linears.keys(), ...stored.plain.keys()].map((name) => [named(name), name]));
  const original = (name: string): string => back.get(name) ?? name;
  return {
    source: {
      ...stored,
      linears: new Map([...stored.linears].map(([name, layout]) => [named(name), layout])),
      plain: new Map([...stored.plain.values()].map((info) => [named(info.name), stackedInfo(info, counts, family)])),
      inputScales: new Map(),
      readPacked: undefined,
      readQuantized: (name) => stored.readQuantized(original(name)),
      readPlain: (name) => stored.readPlain(original(name)),
    },
    experts: new Map([...counts].map(([module, count]) => [named(module), count])),
    origin: (name) => (result.linears.has(original(name)) || plain.has(original(name)) ? original(name) : null),
  };
}

function moduleOf(tensor: string): string {
  return tensor.slice(0, tensor.lastIndexOf("."));
}

// `[experts * out, in]` as `[experts, out, in]`: the same bytes.
function stackedInfo(info: TensorInfo, counts: ReadonlyMap<string, number>, family: MlxFamily): TensorInfo {
  const count = counts.get(moduleOf(info.name));
  const [rows = 0, ...others] = info.shape;
  const shape = count === undefined ? info.shape : [count, rows / count, ...others];
  return { ...info, name: mlxName(info.name, family), shape };
}
