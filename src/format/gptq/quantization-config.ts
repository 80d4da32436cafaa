import type { JsonObject } from "../../checkpoint/json/json.js";
import { packageVersion } from "../../package-version.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { leftOutModules } from "../source/left-out-modules.js";
import { unquantizedLinears } from "../source/unquantized-linears.js";
import { type CheckpointFormat, QUANT_METHOD } from "./layout.js";

/**
 * `quantize_config.json`, which is also `quantization_config` in `config.json`. The most frequent scheme stands at the
 * top; `dynamic` holds the modules that differ (`+:`) and those left alone (`-:`), by patterns of their full names.
 */
export function quantizationConfig(source: ExportSource, version: CheckpointFormat): JsonObject {
  const common = mostFrequent([...source.linears.values()]);
  const dynamic: Record<string, JsonObject> = {};
  for (const name of unquantizedLinears(source)) {
    if (name !== "lm_head") dynamic[`-:^${escaped(name)}$`] = {};
  }
  for (const module of leftOutModules(source)) dynamic[`-:^${escaped(module)}\\..*`] = {};
  for (const [name, layout] of source.linears) {
    if (keyOf(layout) !== keyOf(common)) dynamic[`+:^${escaped(name)}$`] = schemeOf(layout);
  }
  return {
    quant_method: QUANT_METHOD,
    ...schemeOf(common),
    desc_act: false,
    static_groups: false,
    true_sequential: true,
    damp_percent: 0.01,
    lm_head: source.linears.has("lm_head"),
    checkpoint_format: version,
    pack_dtype: "int32",
    model_name_or_path: null,
    ...(Object.keys(dynamic).length > 0 && { dynamic }),
    meta: { quantizer: [`crossblock:${packageVersion()}`] },
  };
}

function schemeOf({ bits, perChannel, groupSize, symmetric }: QuantizedLayout): JsonObject {
  return { bits, group_size: perChannel ? -1 : groupSize, sym: symmetric };
}

function keyOf(layout: QuantizedLayout): string {
  return JSON.stringify(schemeOf(layout));
}

function mostFrequent(layouts: readonly QuantizedLayout[]): QuantizedLayout {
  const counts = new Map<string, number>();
  for (const layout of layouts) counts.set(keyOf(layout), (counts.get(keyOf(layout)) ?? 0) + 1);
  const count = (layout: QuantizedLayout): number => counts.get(keyOf(layout)) ?? 0;
  return layouts.reduce((best, layout) => (count(layout) > count(best) ? layout : best));
}

function escaped(name: string): string {
  return name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
