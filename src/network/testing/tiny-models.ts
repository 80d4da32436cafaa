import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../../checkpoint/safetensors/write-safetensors.js";

/** A network whose weights are a formula, and what transformers computes for it (`make.py`). */
export interface TinyModel {
  readonly config: Readonly<Record<string, unknown>>;
  /** Shapes of the stored tensors. */
  readonly tensors: Readonly<Record<string, readonly number[]>>;
  readonly batch: number;
  readonly time: number;
  /** Of the last two positions of each sequence, `[batch, 2, vocab]`. */
  readonly logits: readonly number[];
  /** At the last position of the first sequence: the embedding, then the output of the first block. */
  readonly hidden: readonly (readonly number[])[];
}

interface Goldens {
  readonly models: Readonly<Record<string, TinyModel>>;
  readonly frequencies: readonly {
    readonly rope: Readonly<Record<string, number | string>>;
    readonly headDim: number;
    readonly values: readonly number[];
  }[];
}

export const goldens = JSON.parse(readFileSync(join(import.meta.dirname, "tiny-models.json"), "utf8")) as Goldens;

const families = JSON.parse(readFileSync(join(import.meta.dirname, "family-models.json"), "utf8")) as Record<
  "models" | "experts",
  Goldens["models"]
>;

/** Networks of the other families, one or two of each (`make_families.py`). */
export const familyModels: Goldens["models"] = families.models;

/** Networks of families with experts, whose weights are stacked. */
export const expertModels: Goldens["models"] = families.experts;

export function tinyModel(name: string): TinyModel {
  const model = goldens.models[name] ?? familyModels[name] ?? expertModels[name];
  if (model === undefined) throw new RangeError(`no tiny model ${name}`);
  return model;
}

/** The ids that `make.py` gave to transformers, `[batch, time]`. */
export function tinyIds(model: TinyModel): Int32Array {
  return Int32Array.from(
    { length: model.batch * model.time },
    (_, i) => (i * 7 + 3) % Number(model.config["vocab_size"]),
  );
}

/** The formula of `make.py` and `make_families.py`. */
export function tinyWeights(name: string, shape: readonly number[]): Float32Array {
  const phase = [...Buffer.from(name)].reduce((sum, byte) => sum + byte, 0) % 97;
  const offset = /norm|ln_|layer_scalar/.test(name) && !name.endsWith("bias") ? 1 : 0;
  const size = shape.length === 2 ? 0.2 : 0.1;
  const length = shape.reduce((product, n) => product * n, 1);
  return Float32Array.from({ length }, (_, i) => offset + size * Math.sin(i * 0.7548776662 + phase));
}

/** Writes the model as a folder; `change` alters a tensor's values, shape or name, or drops it (null). */
export async function writeTinyModel(
  folder: string,
  model: TinyModel,
  change: (name: string, values: Float32Array, shape: readonly number[]) => readonly number[] | null = (_n, _v, s) => s,
): Promise<void> {
  writeFileSync(join(folder, "config.json"), JSON.stringify(model.config));
  const tensors = Object.entries(model.tensors).flatMap(([name, shape]) => {
    const values = tinyWeights(name, shape);
    const written = change(name, values, shape);
    if (written === null) return [];
    const length = written.reduce((product, n) => product * n, 1);
    const bytes = new Uint8Array(values.buffer, 0, length * values.BYTES_PER_ELEMENT);
    return [{ name, dtype: "F32", shape: written, byteLength: bytes.byteLength, bytes: () => bytes } as const];
  });
  await writeSafetensors(folder, tensors);
}

/** The model with its first block repeated, and other sizes where they are given. */
export function deeperModel(
  { config, tensors, ...rest }: TinyModel,
  blocks: number,
  { vocabulary = Number(config["vocab_size"]), positions = Number(config["max_position_embeddings"]) } = {},
): TinyModel {
  const sizes = { num_hidden_layers: blocks, vocab_size: vocabulary, max_position_embeddings: positions };
  const entries = Object.entries(tensors).flatMap(([name, shape]) => {
    if (name.includes("layers.0.")) {
      return Array.from({ length: blocks }, (_, k) => [name.replace("layers.0.", `layers.${k}.`), shape] as const);
    }
    if (name.includes("layers.")) return [];
    return [[name, shape.length === 2 ? [vocabulary, ...shape.slice(1)] : shape] as const];
  });
  return { ...rest, config: { ...config, ...sizes }, tensors: Object.fromEntries(entries) };
}
