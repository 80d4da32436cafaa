import type { ModelConfig } from "../../src/checkpoint/model-config.js";
import type { TensorInfo } from "../../src/checkpoint/tensor-reader.js";
import type { ActivationQuantization, ExportSource } from "../../src/format/contract/export-source.js";
import type { QuantizedWeight } from "../../src/quant/quantized-weight.js";

export interface MemorySource {
  /** Holds config.json and the files that go along. */
  readonly folder: string;
  readonly config: ModelConfig;
  readonly weights: ReadonlyMap<string, QuantizedWeight>;
  /** Values of plain fp32 tensors by name. */
  readonly plain?: Readonly<Record<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>>;
  readonly activations?: ActivationQuantization;
  readonly inputScales?: ReadonlyMap<string, number>;
  readonly inputZeroPoints?: ReadonlyMap<string, number>;
}

/** A result that lives in memory, for tests of the writers. */
export function memorySource(source: MemorySource): ExportSource {
  const plain = new Map<string, TensorInfo>();
  for (const [name, { shape, values }] of Object.entries(source.plain ?? {})) {
    plain.set(name, { name, dtype: "F32", shape, file: "model.safetensors", byteLength: values.length * 4 });
  }
  const missing = (name: string): never => {
    throw new Error(`the test has no ${name}`);
  };
  return {
    config: source.config,
    folder: source.folder,
    linears: source.weights,
    plain,
    activations: source.activations ?? null,
    inputScales: source.inputScales ?? new Map(),
    ...(source.inputZeroPoints !== undefined && { inputZeroPoints: source.inputZeroPoints }),
    async readQuantized(name) {
      return source.weights.get(name) ?? missing(name);
    },
    async readPlain(name) {
      return new Uint8Array(Float32Array.from(source.plain?.[name]?.values ?? missing(name)).buffer);
    },
  };
}
