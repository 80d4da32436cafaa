// Written by `npm run pages` from the schemas of the options; change those, and run it again.
/** Options of `exportResult`: those of the command line by the same names, and a signal that stops it. */
export interface ExportResultInput {
  /**
   * Folder that quantize wrote, or another one of compressed-tensors; owner/name where it is on the Hugging Face
   * Hub.
   *
   * Command line: the argument `result`.
   */
  readonly result: string;
  /**
   * Branch, tag or commit of a model of the hub, as owner/name@revision names it too; null takes main.
   *
   * Command line: `--revision <name>`.
   *
   * @default null
   */
  readonly revision?: string | null | undefined;
  /**
   * Formats to write, one or several.
   *
   * Command line: `--format <names...>`.
   */
  readonly format: "compressed-tensors" | "gptq" | "awq" | "gguf" | "qdq" | "onnx" | "mlx" | readonly ("compressed-tensors" | "gptq" | "awq" | "gguf" | "qdq" | "onnx" | "mlx")[];
  /**
   * Folder of the exports, each in a folder of its format's name; null puts them into the result's.
   *
   * Command line: `--out <folder>`.
   *
   * @default null
   */
  readonly out?: string | null | undefined;
  /**
   * Replace exports that exist; what else lies in their folders is moved to FOLDER.old-DATE.
   *
   * Command line: `--force`.
   *
   * @default false
   */
  readonly force?: boolean | undefined;
  /**
   * Type of the embedding in GGUF; null takes q8_0, half of bf16 at a small loss that is reported, where its rows
   * are whole blocks; else the model's own.
   *
   * Command line: `--gguf-embedding <type>`.
   *
   * @default null
   */
  readonly ggufEmbedding?: "f32" | "f16" | "bf16" | "q8_0" | null | undefined;
  /**
   * Type of the output matrix in GGUF, where it is not the embedding; null keeps the model's own.
   *
   * Command line: `--gguf-output <type>`.
   *
   * @default null
   */
  readonly ggufOutput?: "f32" | "f16" | "bf16" | "q8_0" | null | undefined;
  /**
   * Round again what GGUF has no exact type of the same size for, and report the loss.
   *
   * Command line: `--reencode`.
   *
   * @default false
   */
  readonly reencode?: boolean | undefined;
  /**
   * Floating point of the ONNX graph: fp32 is exact, fp16 is for WebGPU and rounds what is not quantized.
   *
   * Command line: `--onnx-precision <name>`.
   *
   * @default "fp32"
   */
  readonly onnxPrecision?: "fp32" | "fp16" | undefined;
  /**
   * Activations of the ONNX graph: fast lets onnxruntime round them to 8 bits (accuracy_level 4).
   *
   * Command line: `--onnx-accuracy <name>`.
   *
   * @default "fast"
   */
  readonly onnxAccuracy?: "exact" | "fast" | undefined;
  /**
   * Floating point of scales and biases in MLX: exact takes fp16 for symmetric weights and fp32 for others; bf16
   * or f16 round them to a model's own type, with the loss reported.
   *
   * Command line: `--mlx-scales <type>`.
   *
   * @default "exact"
   */
  readonly mlxScales?: "exact" | "f16" | "bf16" | "f32" | undefined;
  /**
   * Integers of QDQ that codes of 4 bits and fewer are stored in: int4 takes half the space and operators of
   * version 21, int8 those of 13, and onnxruntime multiplies integers.
   *
   * Command line: `--qdq-codes <type>`.
   *
   * @default "int4"
   */
  readonly qdqCodes?: "int4" | "int8" | undefined;
  /** Stops the work: the iteration throws the signal's reason, and nothing half-written is left. */
  readonly signal?: AbortSignal | undefined;
}
