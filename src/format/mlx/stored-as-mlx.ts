import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { type DecoderSpec, decoderUnits, hasTower } from "../../network/index.js";
import { type Arranged, arrangedSource } from "../arranged-source.js";
import type { ExportSource } from "../contract/export-source.js";
import { expertCounts, fusedViews } from "../source/fused-views.js";
import { sourceCensus } from "../source/source-census.js";
import { sourceSpec } from "../source/source-spec.js";
import { storedSource } from "../source/stored-source.js";
import { withAddedTensors } from "./added-tensors.js";
import { mlxFamily, mlxName, TOWER_BODY, TOWER_HEAD } from "./families.js";
import { requireLoadable } from "./loadable.js";

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
  const family = mlxFamily(result.config);
  const spec = sourceSpec(result);
  requireLoadable(result, spec, family);
  const read = sourceCensus(result)?.read;
  const plain = new Map([...result.plain].filter(([name]) => read === undefined || read.has(name)));
  const views = fusedViews(spec);
  const whole = withAddedTensors({ ...result, plain }, spec, family);
  const fused = storedSource(whole, { plain: views, coded: views });
  const stored = arrangedSource(fused, family.asComputed === true ? computedTensors(spec) : new Map());
  const counts = expertCounts(spec);
  const inTower = hasTower(result.config) ? towerName(spec) : (name: string): string => name;
  const named = (name: string): string => mlxName(inTower(name), family);
  const back = new Map([...stored.linears.keys(), ...stored.plain.keys()].map((name) => [named(name), name]));
  const original = (name: string): string => back.get(name) ?? name;
  return {
    source: {
      ...stored,
      linears: new Map([...stored.linears].map(([name, layout]) => [named(name), layout])),
      plain: new Map([...stored.plain.values()].map((info) => [named(info.name), stackedInfo(info, counts, named)])),
      inputScales: new Map(),
      readPacked: undefined,
      readQuantized: (name) => stored.readQuantized(original(name)),
      readPlain: (name) => stored.readPlain(original(name)),
    },
    experts: new Map([...counts].map(([module, count]) => [named(module), count])),
    origin: (name) => (result.linears.has(original(name)) || plain.has(original(name)) ? original(name) : null),
  };
}

// The text network of a larger model by the names that mlx-lm has for all of them.
function towerName({ names }: DecoderSpec): (name: string) => string {
  const body = names.block.replace(/layers\.\{block\}$/, "");
  return (name) => {
    if (name.startsWith(`${names.head}.`) || name === names.head) return name.replace(names.head, TOWER_HEAD);
    return name.startsWith(body) ? `${TOWER_BODY}${name.slice(body.length)}` : name;
  };
}

/** Tensors that mlx-lm has in its folders as it computes with them, by the names that they keep. */
export function computedTensors(spec: DecoderSpec): ReadonlyMap<string, Arranged> {
  const units = decoderUnits(spec);
  const gains = units.flatMap(({ norms }) => norms.filter(({ gain }) => gain === "1+w").map(({ module }) => module));
  const outer = spec.finalNorm.gain === "1+w" ? [spec.names.finalNorm] : [];
  const convolutions = units.flatMap(({ tensors = [] }) => tensors.filter(({ name }) => name === "deltaConvolution"));
  return new Map([
    ...[...gains, ...outer].map((module): [string, Arranged] => [
      `${module}.weight`,
      { from: `${module}.weight`, convert: (gain) => gain + 1 },
    ]),
    ...convolutions.map(({ tensor, shape: [channels = 0, one = 0, kernel = 0] }): [string, Arranged] => [
      tensor,
      { from: tensor, shape: [channels, kernel, one] },
    ]),
  ]);
}

function moduleOf(tensor: string): string {
  return tensor.slice(0, tensor.lastIndexOf("."));
}

// `[experts * out, in]` as `[experts, out, in]`: the same bytes.
function stackedInfo(
  info: TensorInfo,
  counts: ReadonlyMap<string, number>,
  named: (name: string) => string,
): TensorInfo {
  const count = counts.get(moduleOf(info.name));
  const [rows = 0, ...others] = info.shape;
  const shape = count === undefined ? info.shape : [count, rows / count, ...others];
  return { ...info, name: named(info.name), shape };
}
