import type { InferenceSession, Tensor } from "onnxruntime-node";
import { answerOnce } from "../runtime/runtime-process.js";

/** Numbers that a graph is given or gives. */
export interface GraphNumbers {
  readonly data: Float32Array;
  readonly shape: readonly number[];
  /** Of integers that are given as floats: time steps. */
  readonly type?: "int64";
}

/** What onnxruntime is asked about a graph. */
export interface GraphQuestion {
  /** The package's entry file, for `import()`. */
  readonly entry: string;
  readonly file: string;
  readonly inputs: Readonly<Record<string, GraphNumbers>>;
  readonly threads: number;
}

/** Its outputs by name. */
export type GraphAnswer = { readonly outputs: Readonly<Record<string, Float32Array>> };

interface OnnxRuntime {
  readonly InferenceSession: {
    create(path: string, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (
    type: "float32" | "int64",
    data: Float32Array | BigInt64Array,
    dims: readonly number[],
  ) => Tensor;
}

answerOnce<GraphQuestion, GraphAnswer>(async ({ entry, file, inputs, threads }) => {
  // A CommonJS package: what it exports may lie under `default`.
  const imported = (await import(entry)) as OnnxRuntime & { readonly default?: OnnxRuntime };
  const { InferenceSession, Tensor } = imported.default ?? imported;
  // With its optimisations it multiplies integers, which rounds the inputs of layers that the file leaves as they are.
  const options = { intraOpNumThreads: threads, logSeverityLevel: 3, graphOptimizationLevel: "disabled" } as const;
  const session = await InferenceSession.create(file, options);
  const feeds = Object.entries(inputs).map(
    ([name, { data, shape, type }]) =>
      [
        name,
        type === "int64"
          ? new Tensor(type, BigInt64Array.from(data, BigInt), shape)
          : new Tensor("float32", data, shape),
      ] as const,
  );
  const results = await session.run(Object.fromEntries(feeds));
  const outputs = Object.entries(results).map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)]);
  await session.release();
  return { outputs: Object.fromEntries(outputs) };
});
