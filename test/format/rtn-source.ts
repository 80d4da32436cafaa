import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import { readModelConfig } from "../../src/checkpoint/model-config.js";
import { floatsFromBytes } from "../../src/format/bits/float-bytes.js";
import { roundToHalf } from "../../src/format/bits/half.js";
import type { ActivationQuantization, ExportSource, QuantizedLayout } from "../../src/format/contract/export-source.js";
import { networkReader, readSpec } from "../../src/network/index.js";
import type { QuantizedWeight } from "../../src/quant/quantized-weight.js";

/** How the test rounds one Linear; `group` null means one group per row. */
export interface RtnScheme {
  readonly bits: number;
  readonly group: number | null;
  readonly symmetric: boolean;
}

export interface RtnOptions {
  /** Null leaves the Linear alone. */
  readonly schemeOf: (name: string) => RtnScheme | null;
  readonly activations?: ActivationQuantization;
  /** Static activation scales. */
  readonly inputScales?: ReadonlyMap<string, number>;
}

/** A model folder rounded to nearest on plain arrays: a result to write, without the quantizer. */
export async function rtnSource(folder: string, options: RtnOptions): Promise<ExportSource & Disposable> {
  const { quantization_config: _, ...config } = await readModelConfig(folder);
  const stored = await Checkpoint.open(folder);
  const checkpoint = networkReader(readSpec(config), stored);
  const linears = new Map<string, QuantizedLayout>();
  const plain = new Map(checkpoint.tensors);
  for (const { name, shape } of checkpoint.tensors.values()) {
    const module = name.replace(/\.weight$/, "");
    const scheme = /_proj\.weight$/.test(name) ? options.schemeOf(module) : null;
    if (scheme === null) continue;
    const [rows = 0, columns = 0] = shape;
    const { bits, group, symmetric } = scheme;
    linears.set(module, { bits, groupSize: group ?? columns, perChannel: group === null, symmetric, rows, columns });
    plain.delete(name);
  }
  return {
    config,
    folder,
    linears,
    plain,
    activations: options.activations ?? null,
    inputScales: options.inputScales ?? new Map(),
    async readQuantized(name) {
      const layout = linears.get(name);
      const info = checkpoint.tensors.get(`${name}.weight`);
      if (layout === undefined || info === undefined) throw new Error(`${name} is not quantized here`);
      return roundToNearest(floatsFromBytes(await checkpoint.read(info.name), info.dtype, info.name), layout);
    },
    readPlain: (name) => checkpoint.read(name),
    [Symbol.dispose]: () => stored.close(),
  };
}

/** A source whose Linears are rounded once, however often they are read. */
export function roundedOnce<S extends ExportSource>(source: S): S {
  const weights = new Map<string, Promise<QuantizedWeight>>();
  return {
    ...source,
    readQuantized(name) {
      const weight = weights.get(name) ?? source.readQuantized(name);
      weights.set(name, weight);
      return weight;
    },
  };
}

/** Symmetric: full range, the scale's sign gives the longer tail the extra level. Asymmetric: from minimum to maximum. */
export function roundToNearest(weight: Float32Array, layout: QuantizedLayout): QuantizedWeight {
  const { bits, groupSize, symmetric } = layout;
  const groups = weight.length / groupSize;
  const top = 2 ** bits - 1;
  const half = 2 ** (bits - 1);
  const codes = new Uint8Array(weight.length);
  const scales = new Float32Array(groups);
  const zeroPoints = new Uint8Array(groups);
  for (let group = 0; group < groups; group++) {
    const values = weight.subarray(group * groupSize, (group + 1) * groupSize);
    const low = Math.min(0, ...values);
    const high = Math.max(0, ...values);
    const ideal = symmetric ? (-low >= high ? -low : -high) / half : (high - low) / top;
    const scale = roundToHalf(Math.abs(ideal) < 1e-5 ? 1e-5 : ideal);
    const zero = symmetric ? half : Math.round(-low / scale);
    scales[group] = scale;
    zeroPoints[group] = zero;
    for (let i = 0; i < groupSize; i++) {
      codes[group * groupSize + i] = Math.max(0, Math.min(top, Math.round((values[i] ?? 0) / scale) + zero));
    }
  }
  return { ...layout, codes, scales, zeroPoints };
}

/** `scale * (code - zeroPoint)` in fp32. */
export function dequantized(weight: QuantizedWeight): Float32Array {
  const { codes, scales, zeroPoints, groupSize } = weight;
  return Float32Array.from(codes, (code, i) => {
    const group = Math.floor(i / groupSize);
    return Math.fround((scales[group] ?? 0) * (code - (zeroPoints[group] ?? 0)));
  });
}

/** The same result with all plain tensors in fp32, so that a reader rounds nothing in between. */
export function widened(source: ExportSource): ExportSource {
  const plain = new Map(
    [...source.plain].map(([name, info]) => {
      const elements = info.shape.reduce((product, size) => product * size, 1);
      return [name, { ...info, dtype: "F32" as const, byteLength: elements * 4 }];
    }),
  );
  return {
    ...source,
    plain,
    async readPlain(name) {
      const dtype = source.plain.get(name)?.dtype ?? "F32";
      return new Uint8Array(floatsFromBytes(await source.readPlain(name), dtype, name).slice().buffer);
    },
  };
}
