import type { JsonObject } from "../../checkpoint/json/json.js";
import { hasNormMatrices } from "../../network/index.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { leftOutModules } from "../source/left-out-modules.js";
import { unquantizedLinears } from "../source/unquantized-linears.js";
import { LIBRARY_VERSION, MATRIX_FORMAT, MIXED_FORMAT, QUANT_METHOD, type StorageFormat, storageOf } from "./layout.js";
import { simulationNote } from "./what-loads.js";

interface Group {
  readonly layout: QuantizedLayout;
  readonly storage: StorageFormat;
  readonly names: string[];
}

/** Linears in full precision that transformers calls otherwise than a family's checkpoints do. */
const RENAMED: Readonly<Record<string, readonly string[]>> = { phimoe: ["re:.*\\.mlp\\.router$"] };

/**
 * `quantization_config` of an export. The models of schemes and arguments in the reading library forbid unknown keys,
 * so only those known to all its releases in use are written; the outer object may hold others.
 */
export function quantizationConfig(source: ExportSource): JsonObject {
  const groups = groupsOf(source);
  const formats = new Set(groups.map((group) => group.storage));
  const mixed = formats.size > 1;
  const simulated = simulationNote(source.linears.values(), source.activations);
  return {
    quant_method: QUANT_METHOD,
    format: hasNormMatrices(source.config)
      ? MATRIX_FORMAT
      : mixed
        ? MIXED_FORMAT
        : (groups[0]?.storage ?? "pack-quantized"),
    quantization_status: "compressed",
    version: LIBRARY_VERSION,
    global_compression_ratio: null,
    kv_cache_scheme: null,
    sparsity_config: {},
    transform_config: {},
    ignore: [
      ...unquantizedLinears(source),
      ...(RENAMED[String(source.config["model_type"])] ?? []),
      ...leftOutModules(source).map((module) => `re:^${module.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\..*`),
    ],
    config_groups: Object.fromEntries(
      groups.map((group, i) => [
        `group_${i}`,
        // With several groups every Linear is named: vLLM matches classes before the names of fused layers.
        schemeOf(group, groups.length === 1 ? ["Linear"] : group.names, source),
      ]),
    ),
    ...(simulated !== null && { crossblock: { activations: "simulated", note: simulated } }),
  };
}

function groupsOf({ linears, activations }: ExportSource): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const [name, layout] of linears) {
    const storage = storageOf(layout, activations);
    const columns = layout.perChannel ? "channel" : layout.groupSize;
    const key = `${storage} ${meanBits(layout)} ${columns} ${layout.symmetric}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { layout, storage, names: [name] });
    else group.names.push(name);
  }
  return [...groups.values()];
}

// Of groups with bits of their own the mean, which is a whole number.
function meanBits({ bits, groupBits }: QuantizedLayout): number {
  if (groupBits === undefined) return bits;
  return Math.round(groupBits.reduce((sum, each) => sum + each, 0) / Math.max(1, groupBits.length));
}

function schemeOf(
  { layout, storage }: Group,
  targets: readonly string[],
  { activations, config }: ExportSource,
): JsonObject {
  // Readers infer this format from the rest; `format` is a recent key, so it is written only where they'd be wrong.
  const inferred: StorageFormat = activations === null ? "pack-quantized" : "int-quantized";
  return {
    targets,
    weights: {
      num_bits: meanBits(layout),
      type: "int",
      symmetric: layout.symmetric,
      strategy: layout.perChannel ? "channel" : "group",
      group_size: layout.perChannel ? null : layout.groupSize,
      dynamic: false,
      actorder: null,
      block_structure: null,
      observer: "minmax",
      observer_kwargs: {},
    },
    input_activations:
      activations === null
        ? null
        : {
            num_bits: activations.bits,
            type: "int",
            symmetric: activations.zeroPoint === undefined,
            strategy: activations.granularity,
            group_size: null,
            dynamic: activations.dynamic,
            actorder: null,
            block_structure: null,
            observer: activations.dynamic ? null : "minmax",
            observer_kwargs: {},
          },
    output_activations: null,
    ...(hasNormMatrices(config) ? { format: MATRIX_FORMAT } : storage !== inferred && { format: storage }),
  };
}
