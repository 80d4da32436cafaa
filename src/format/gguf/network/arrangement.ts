import { blockOf, type DecoderSpec, type DeltaNetSpec, linearName, tensorName } from "../../../network/index.js";
import type { Arranged } from "../../arranged-source.js";
import type { BlockPart, GgufFamily } from "./families.js";

/** A tensor of a block that the file has in another form. */
export interface ArrangedPart extends Arranged {
  readonly block: number;
  /** What it is in the file. */
  readonly part: BlockPart;
}

/**
 * What llama.cpp wants otherwise than a checkpoint has it, in delta nets: inputs as two tensors, `q, k, v` and `z`; the decay as the
 * factor that it stands for; and, in architectures that repeat all key heads in turn, the value heads in that order.
 */
export function arrangement(spec: DecoderSpec, family: GgufFamily): readonly ArrangedPart[] {
  if (family.convolutions === true) return spec.blocks.flatMap((_, block) => convolutionParts(spec, block));
  if (family.delta === undefined) return [];
  const tiled = family.delta === "tiled";
  return spec.blocks.flatMap(({ attention: delta }, block) =>
    delta.kind === "delta" ? deltaParts(spec, block, delta, tiled) : [],
  );
}

// Without the dimension of one, in fp32.
function convolutionParts(spec: DecoderSpec, block: number): ArrangedPart[] {
  const { attention } = blockOf(spec, block);
  if (attention.kind !== "convolution") return [];
  const from = tensorName(spec, block, "convolution");
  return [{ block, part: "convolution", from, shape: [attention.channels, attention.kernel], widened: true }];
}

function deltaParts(spec: DecoderSpec, block: number, delta: DeltaNetSpec, tiled: boolean): ArrangedPart[] {
  const { keyHeads, valueHeads, keyDim, valueDim, kernel } = delta;
  const heads = tiled ? tiledHeads(keyHeads, valueHeads) : Int32Array.from({ length: valueHeads }, (_, head) => head);
  const moves = heads.some((head, i) => head !== i);
  const keys = 2 * keyHeads * keyDim;
  const values = headRows(heads, valueDim);
  // Queries and keys stay where they are.
  const qkv = Int32Array.from({ length: keys + values.length }, (_, i) =>
    i < keys ? i : keys + (values[i - keys] ?? 0),
  );
  const weight = (role: Parameters<typeof linearName>[2]): string => `${linearName(spec, block, role)}.weight`;
  const own = { block } as const;
  const inputs: ArrangedPart[] = delta.fusedInputs
    ? [
        { ...own, part: "deltaQkv", from: weight("deltaQkvz"), rows: fusedRows(delta, "qkv") },
        { ...own, part: "deltaZ", from: weight("deltaQkvz"), rows: fusedRows(delta, "z") },
      ]
    : moves
      ? [
          { ...own, part: "deltaQkv", from: weight("deltaQkv"), rows: qkv },
          { ...own, part: "deltaZ", from: weight("deltaZ"), rows: values },
          { ...own, part: "deltaB", from: weight("deltaB"), rows: heads },
          { ...own, part: "deltaA", from: weight("deltaA"), rows: heads },
        ]
      : [];
  const order = moves ? { rows: heads } : {};
  return [
    ...inputs,
    ...(moves ? [{ ...own, part: "deltaOut", from: weight("deltaOut"), columns: values } as const] : []),
    {
      ...{ ...own, part: "deltaConvolution", from: tensorName(spec, block, "deltaConvolution") },
      ...{ shape: [keys + values.length, kernel], widened: true, ...(moves && { rows: qkv }) },
    },
    {
      ...{ ...own, ...order, part: "deltaDecay", from: tensorName(spec, block, "deltaDecay"), widened: true },
      convert: (log) => -Math.exp(log),
    },
    { ...own, ...order, part: "deltaTimeBias", from: tensorName(spec, block, "deltaTimeBias"), widened: true },
  ];
}

// A checkpoint has the value heads of one key head side by side, llama.cpp the first of every key head, then the second of each.
function tiledHeads(keyHeads: number, valueHeads: number): Int32Array {
  const served = valueHeads / keyHeads;
  return Int32Array.from({ length: valueHeads }, (_, i) => (i % keyHeads) * served + Math.floor(i / keyHeads));
}

function headRows(heads: Int32Array, width: number): Int32Array {
  return Int32Array.from(
    { length: heads.length * width },
    (_, row) => (heads[Math.floor(row / width)] ?? 0) * width + (row % width),
  );
}

// The rows of a key head lie together: its query, its key, the values and then the gates of the heads that it serves.
function fusedRows({ keyHeads, valueHeads, keyDim, valueDim }: DeltaNetSpec, which: "qkv" | "z"): Int32Array {
  const values = (valueHeads / keyHeads) * valueDim;
  const group = 2 * keyDim + 2 * values;
  const part = (first: number, width: number): number[] =>
    Array.from({ length: keyHeads * width }, (_, row) => Math.floor(row / width) * group + first + (row % width));
  return Int32Array.from(
    which === "z"
      ? part(2 * keyDim + values, values)
      : [...part(0, keyDim), ...part(keyDim, keyDim), ...part(2 * keyDim, values)],
  );
}
