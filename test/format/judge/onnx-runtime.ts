import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { InferenceSession } from "onnxruntime-node";
import type { OnnxRuntime } from "../../../src/run/verify/runtime/onnx-runtime.js";

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
