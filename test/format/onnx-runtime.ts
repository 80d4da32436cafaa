import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { InferenceSession, Tensor } from "onnxruntime-node";

/** The part of onnxruntime-node, and of onnxruntime-web, that the judge uses. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(path: string, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (
    type: string,
    data: BigInt64Array | Float32Array | Uint16Array,
    dims: readonly number[],
  ) => Tensor;
}

/** What one call gives: logits of the kept tokens, and the cache for the next call. */
export interface OnnxStep {
  /** `[batch, kept, vocabulary]` */
  readonly logits: Float32Array;
  readonly cache: Readonly<Record<string, Tensor>>;
}

export interface OnnxCall {
  /** Token ids of each sequence, all of one length. */
  readonly ids: readonly (readonly number[])[];
  readonly cache?: Readonly<Record<string, Tensor>>;
  /** Tokens to pad on the left of each sequence, counted from the start of the cache. */
  readonly padding?: readonly number[];
  readonly keep?: number;
}

/** A written graph, loaded by onnxruntime. */
export interface OnnxNetwork extends AsyncDisposable {
  run(call: OnnxCall): Promise<OnnxStep>;
}

/** The package, or null where it is not installed. */
export async function importOnnxRuntime(): Promise<OnnxRuntime | null> {
  const name = "onnxruntime-node";
  try {
    return (await import(name)) as OnnxRuntime;
  } catch {
    return null;
  }
}

/**
 * onnxruntime-web, which @huggingface/transformers brings along: browsers' WebAssembly, with files handed over as bytes.
 * Null where it is not installed.
 */
export async function importOnnxRuntimeWeb(): Promise<OnnxRuntime | null> {
  const name = "onnxruntime-web";
  let library: { InferenceSession: WebSessions; Tensor: OnnxRuntime["Tensor"] };
  try {
    library = (await import(name)) as typeof library;
  } catch {
    return null;
  }
  return {
    Tensor: library.Tensor,
    InferenceSession: {
      create: (file, { logSeverityLevel }) =>
        library.InferenceSession.create(readFileSync(file), {
          ...(logSeverityLevel !== undefined && { logSeverityLevel }),
          externalData: [{ path: `${basename(file)}_data`, data: readFileSync(`${file}_data`) }],
        }),
    },
  };
}

interface WebSessions {
  create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
}

/** Loads a decoder graph with `layers` layers and caches of `[batch, heads, seen, width]`. */
export async function openOnnx(
  { InferenceSession, Tensor }: OnnxRuntime,
  file: string,
  { heads, width, half = false }: { readonly heads: number; readonly width: number; readonly half?: boolean },
): Promise<OnnxNetwork> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const integers = (values: readonly number[], shape: readonly number[]): Tensor =>
    new Tensor("int64", BigInt64Array.from(values, BigInt), shape);
  const empty = (batch: number): Tensor =>
    new Tensor(half ? "float16" : "float32", half ? new Uint16Array(0) : new Float32Array(0), [batch, heads, 0, width]);
  return {
    async run({ ids, cache, padding = ids.map(() => 0), keep = 0 }) {
      const [batch, time] = [ids.length, ids[0]?.length ?? 0];
      const past = Object.values(cache ?? {})[0]?.dims[2] ?? 0;
      const seen = past + time;
      const feeds: Record<string, Tensor> = {
        input_ids: integers(ids.flat(), [batch, time]),
        attention_mask: integers(
          padding.flatMap((pad) => Array.from({ length: seen }, (_, i) => (i < pad ? 0 : 1))),
          [batch, seen],
        ),
        position_ids: integers(
          padding.flatMap((pad) => Array.from({ length: time }, (_, i) => Math.max(0, past + i - pad))),
          [batch, time],
        ),
        num_logits_to_keep: integers([keep], []),
      };
      for (const name of session.inputNames.filter((each) => each.startsWith("past"))) {
        feeds[name] = cache?.[name] ?? empty(batch);
      }
      const results = await session.run(feeds);
      const next: Record<string, Tensor> = {};
      for (const [name, value] of Object.entries(results)) {
        if (name !== "logits") next[name.replace("present", "past_key_values")] = value;
      }
      return { logits: results["logits"]?.data as Float32Array, cache: next };
    },
    async [Symbol.asyncDispose]() {
      await session.release();
    },
  };
}
