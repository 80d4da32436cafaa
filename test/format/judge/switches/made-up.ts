import type { ModelConfig } from "../../../../src/checkpoint/model-config.js";
import type { TensorInfo } from "../../../../src/checkpoint/tensor-reader.js";
import type { ExportSource, QuantizedLayout } from "../../../../src/format/contract/export-source.js";
import { sourceSpec } from "../../../../src/format/source/source-spec.js";
import { decoderUnits, families, networkTensors, readSpec } from "../../../../src/network/index.js";
import { roundToNearest } from "../../rtn-source.js";

/** A network of these numbers with weights of its own, in floating point. */
export function madeUp(config: ModelConfig, folder: string, without: RegExp): ExportSource {
  const values = new Map<string, Float32Array>();
  const plain = new Map<string, TensorInfo>();
  for (const [name, shape] of networkTensors(readSpec(config))) {
    if (without.test(name)) continue;
    const count = shape.reduce((product, size) => product * size, 1);
    const width = shape.length > 1 ? 1.2 / Math.sqrt(shape.at(-1) ?? 1) : 0.2;
    const middle = shape.length === 1 && /norm.*weight$|ln_.*weight$|layer_scalar|scale$/.test(name) ? 1 : 0;
    let seed = [...name].reduce((sum, sign) => (sum * 31 + sign.charCodeAt(0)) % 2147483647, 7);
    const next = (): number => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    values.set(
      name,
      Float32Array.from({ length: count }, () => middle + width * (next() + next() + next() - 1.5) * 2),
    );
    plain.set(name, { name, dtype: "F32", shape, file: "model.safetensors", byteLength: 4 * count });
  }
  return {
    ...{ config, folder, linears: new Map(), plain, activations: null, inputScales: new Map() },
    readQuantized: () => Promise.reject(new Error("nothing is quantized")),
    readPlain: async (name) => new Uint8Array(values.get(name)?.buffer as ArrayBuffer),
  };
}

export type Switched = readonly [key: string, value: boolean | number, without: RegExp];

export const NOTHING = /^$/;

/** Every switch that a family's configuration has, the other way, and heads that are together wider than the stream. */
export function switches(config: ModelConfig): readonly Switched[] {
  const family = families.get(String(config["model_type"]));
  if (family === undefined) return [];
  const { attention, mlp, tied, arrangement } = family;
  const facts = [
    attention.qkvBias,
    attention.outBias,
    attention.qkNorm,
    attention.positionedNorm,
    mlp.bias,
    tied,
    arrangement,
  ];
  const keys = new Map(facts.flatMap((fact) => (typeof fact === "object" ? [[fact.key, fact.default] as const] : [])));
  const all = [...keys].map(([key, absent]): Switched => [key, !(config[key] ?? absent), NOTHING]);
  // One key may speak of all biases of attention, and a checkpoint have those of queries, keys and values alone.
  const wide: Switched[] = family.keys.headDim === null ? [] : [[family.keys.headDim, 32, NOTHING]];
  return [...wide, ...all].flatMap((each) =>
    each[0] === "attention_bias" && each[1] === true && family.latent === undefined
      ? [each, [each[0], true, /o_proj\.bias$/]]
      : [each],
  );
}

/** The same with the Linears of blocks in 4 bits, where whole groups of 32 columns fit. */
export function rounded(source: ExportSource, left: RegExp): ExportSource {
  const linears = new Map<string, QuantizedLayout>();
  for (const unit of decoderUnits(sourceSpec(source))) {
    for (const { module, rows, columns, protectedAs } of unit.layers) {
      if (protectedAs !== undefined || left.test(module) || columns % 32 !== 0) continue;
      linears.set(module, { bits: 4, groupSize: 32, perChannel: false, symmetric: true, rows, columns });
    }
  }
  const codes = new Set([...linears.keys()].map((module) => `${module}.weight`));
  return {
    ...source,
    linears,
    plain: new Map([...source.plain].filter(([name]) => !codes.has(name))),
    async readQuantized(module) {
      const layout = linears.get(module);
      if (layout === undefined) throw new Error(`${module} is not quantized here`);
      const bytes = await source.readPlain(`${module}.weight`);
      return roundToNearest(new Float32Array(bytes.slice().buffer), layout);
    },
  };
}
