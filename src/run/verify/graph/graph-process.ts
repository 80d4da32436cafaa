import type { InferenceSession, Tensor } from "onnxruntime-node";
import { fromHalfBits, toHalfBits } from "../../../format/bits/half.js";
import { answerOnce } from "../runtime/runtime-process.js";

/** Numbers that a graph is given or gives. */
export interface GraphNumbers {
  readonly data: Float32Array;
  readonly shape: readonly number[];
  /** What the graph reads, where that is not fp32: time steps that are whole numbers, or fp16. */
  readonly type?: "int64" | "float16";
}

/** What onnxruntime is asked about a graph. */
export interface GraphQuestion {
  /** The package's entry file, for `import()`. */
  readonly entry: string;
  readonly file: string;
  readonly inputs: Readonly<Record<string, GraphNumbers>>;
  /** Examples that it takes at a time, of which the inputs hold a multiple; null for all of them. */
  readonly batch: number | null;
  readonly threads: number;
}

/** Its outputs by name. */
export type GraphAnswer = { readonly outputs: Readonly<Record<string, Float32Array>> };

interface OnnxRuntime {
  readonly InferenceSession: {
    create(path: string, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (
    type: "float32" | "int64" | "float16",
    data: Float32Array | BigInt64Array | Uint16Array,
    dims: readonly number[],
  ) => Tensor;
}

answerOnce<GraphQuestion, GraphAnswer>(async ({ entry, file, inputs, batch, threads }) => {
  // A CommonJS package: what it exports may lie under `default`.
  const imported = (await import(entry)) as OnnxRuntime & { readonly default?: OnnxRuntime };
  const { InferenceSession, Tensor } = imported.default ?? imported;
  // With its optimisations it multiplies integers, which rounds the inputs of layers that the file leaves as they are.
  const options = { intraOpNumThreads: threads, logSeverityLevel: 3, graphOptimizationLevel: "disabled" } as const;
  const session = await InferenceSession.create(file, options);
  const tensor = ({ data, shape, type }: GraphNumbers): Tensor => {
    if (type === "int64") return new Tensor(type, BigInt64Array.from(data, BigInt), shape);
    if (type === "float16") return new Tensor(type, Uint16Array.from(data, toHalfBits), shape);
    return new Tensor("float32", data, shape);
  };
  const all = Object.values(inputs)[0]?.shape[0] ?? 1;
  const size = batch ?? all;
  const parts: Record<string, Float32Array[]> = {};
  for (let first = 0; first < all; first += size) {
    const feeds = Object.entries(inputs).map(([name, port]) => [name, tensor(rows(port, first, size))] as const);
    for (const [name, output] of Object.entries(await session.run(Object.fromEntries(feeds)))) {
      parts[name] = [...(parts[name] ?? []), numbers(output)];
    }
  }
  await session.release();
  return { outputs: Object.fromEntries(Object.entries(parts).map(([name, each]) => [name, joined(each)])) };
});

function rows({ data, shape: [all = 1, ...shape], ...type }: GraphNumbers, first: number, count: number): GraphNumbers {
  const each = data.length / all;
  return { ...type, data: data.slice(first * each, (first + count) * each), shape: [count, ...shape] };
}

// The bits of fp16 come as whole numbers, or as floats where the engine has such an array.
function numbers({ data, type }: Tensor): Float32Array {
  if (type === "float16" && data instanceof Uint16Array) return Float32Array.from(data, fromHalfBits);
  return Float32Array.from(data as Float32Array);
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
