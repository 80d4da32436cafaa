import type { ExportSource } from "../contract/export-source.js";
import { omissionNotes } from "../source/source-census.js";
import { sourceSpec } from "../source/source-spec.js";
import { MLX_FAMILIES } from "./families.js";
import { type ScaleChoice, scaleType } from "./layout.js";

/** What a user should know of a folder: whole sentences. */
export function mlxNotes(result: ExportSource, choice: ScaleChoice): string[] {
  const { activations, linears, plain } = result;
  const types = [...new Set([...linears.values()].map((layout) => scaleType(layout, choice)))];
  const others = new Set([...plain.values()].map(({ dtype }) => dtype));
  const mixed = types.some((type) => !others.has(type));
  return [
    ...omissionNotes(result, "MLX"),
    ...windowNote(result),
    ...gainNote(result),
    ...rotaryNote(result),
    ...(activations === null
      ? []
      : [`MLX computes with weights only: the ${activations.bits}-bit activations stay in floating point there.`]),
    ...(choice === "exact" && mixed
      ? [
          `Scales are ${types.join(" and ")}, which hold them exactly, beside tensors in ${[...others].join(" and ")}: MLX computes in fp32 then. --mlx-scales bf16 or f16 keeps its arithmetic narrow and rounds them.`,
        ]
      : []),
  ];
}

function rotaryNote(result: ExportSource): string[] {
  const scalings = sourceSpec(result).blocks.flatMap(({ attention }) =>
    attention.kind === "softmax" && attention.rotary !== null ? [attention.rotary.scaling] : [],
  );
  const long = scalings.find((scaling) => scaling.kind === "longrope");
  const rough = scalings.some((scaling) => scaling.kind === "yarn" && !scaling.wholeDimensions);
  return [
    ...(long === undefined
      ? []
      : [
          `mlx-lm takes LongRoPE's long divisors for every context, also for one of up to ${long.originalContext} tokens.`,
        ]),
    ...(rough
      ? [
          "mlx-lm rounds the bounds between which YaRN blends to whole pairs, and the network does not: some positions turn a little differently.",
        ]
      : []),
  ];
}

function gainNote(result: ExportSource): string[] {
  const spec = sourceSpec(result);
  const types = new Set(
    [...result.plain.values()].flatMap(({ name, dtype }) => (/norm\.weight$/.test(name) ? [dtype] : [])),
  );
  if (MLX_FAMILIES[spec.family]?.asComputed !== true || (types.size === 1 && types.has("F32"))) return [];
  return [
    `mlx-lm has the gains of ${spec.family} plus one in its folders: they are rounded once more, to ${[...types].join(" and ")}, as its own converter does.`,
  ];
}

function windowNote(result: ExportSource): string[] {
  const spec = sourceSpec(result);
  if (MLX_FAMILIES[spec.family]?.windowless !== true) return [];
  const windows = spec.blocks.flatMap(({ attention }) =>
    attention.kind === "softmax" && attention.slidingWindow !== null ? [attention.slidingWindow] : [],
  );
  if (windows.length === 0) return [];
  return [
    `mlx-lm has no sliding window for ${spec.family}: beyond ${Math.min(...windows)} tokens it sees more than the model was made for.`,
  ];
}
