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

/** Loads a decoder graph whose caches are `[batch, heads, seen, width]`, as the session itself tells. */
export async function openOnnx(
  { InferenceSession, Tensor }: OnnxRuntime,
  file: string,
  { threads = 1 }: { readonly threads?: number } = {},
): Promise<OnnxNetwork> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: threads, logSeverityLevel: 3 });
  const { heads, width, half } = cacheOf(session);
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

function cacheOf({ inputMetadata }: InferenceSession): { heads: number; width: number; half: boolean } {
  for (const input of inputMetadata) {
    if (!input.isTensor || !input.name.startsWith("past")) continue;
    const [, heads, , width] = input.shape;
    return { heads: Number(heads), width: Number(width), half: input.type === "float16" };
  }
  throw new TypeError("the graph has no cache among its inputs");
}
