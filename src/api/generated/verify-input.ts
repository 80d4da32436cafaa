// Written by `npm run pages` from the schemas of the options; change those, and run it again.
/** Options of `verifyResult`: those of the command line by the same names, and a signal that stops it. */
export interface VerifyInput {
  /**
   * Folder that quantize wrote, or owner/name where it is on the Hugging Face Hub.
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
   * Check exports of these formats only; null checks all that are found below the result.
   *
   * Command line: `--format <names...>`.
   *
   * @default null
   */
  readonly format?: "compressed-tensors" | "gptq" | "awq" | "gguf" | "qdq" | "onnx" | "mlx" | readonly ("compressed-tensors" | "gptq" | "awq" | "gguf" | "qdq" | "onnx" | "mlx")[] | null | undefined;
  /**
   * Exports elsewhere: a .gguf file, a folder of one format, or the --out of crossblock export.
   *
   * Command line: `--export <paths...>`.
   *
   * @default []
   */
  readonly export?: string | readonly string[] | undefined;
  /**
   * Source model, a folder or owner/name of the hub; null takes the one that was quantized, where it still is.
   *
   * Command line: the argument `model`.
   *
   * @default null
   */
  readonly model?: string | null | undefined;
  /**
   * Folder of the certificate; null takes the result's own, and writes none for a result of the hub.
   *
   * Command line: `--out <folder>`.
   *
   * @default null
   */
  readonly out?: string | null | undefined;
  /**
   * false: check the files only, without logits of llama.cpp and onnxruntime where the project has them.
   *
   * Command line: `--no-runtimes`.
   *
   * @default true
   */
  readonly runtimes?: boolean | undefined;
  /**
   * Folder whose node_modules has the runtimes; null takes the working folder, then crossblock's own.
   *
   * Command line: `--project <folder>`.
   *
   * @default null
   */
  readonly project?: string | null | undefined;
  /**
   * Where crossblock's own network computes the logits to compare with.
   *
   * Command line: `--device <device>`.
   *
   * @default "cpu"
   */
  readonly device?: string | undefined;
  /** Stops the work: the iteration throws the signal's reason, and nothing half-written is left. */
  readonly signal?: AbortSignal | undefined;
}
