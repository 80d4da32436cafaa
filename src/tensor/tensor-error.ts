import { CrossblockError } from "../errors.js";

/**
 * An operator that libtorch refused, on one line: the operator, the shapes of its tensors and the
 * cause, without the C++ stack. `code` is `OUT_OF_MEMORY` when memory ran out.
 */
export class TensorError extends CrossblockError {
  readonly operator: string;
  readonly shapes: readonly string[];
  readonly code: "OPERATOR" | "OUT_OF_MEMORY" | "DISPOSED";

  constructor(operator: string, shapes: readonly string[], cause: unknown) {
    const thrown = cause as Partial<{ message: string; code: string }>;
    const message = (thrown.message ?? String(cause)).split("\n", 1)[0] ?? "unknown";
    const code =
      thrown.code === "OUT_OF_MEMORY"
        ? "OUT_OF_MEMORY"
        : message.startsWith("tensor was disposed")
          ? "DISPOSED"
          : "OPERATOR";
    super(
      {
        where: `${operator}(${shapes.join(", ")})`,
        what: message,
        next:
          code === "OUT_OF_MEMORY"
            ? "use fewer sequences at once (--set window.microBatch=1), a larger --max-memory if there is one, or a larger device"
            : "check the shapes and dtypes above",
        cause,
      },
      1,
    );
    this.operator = operator;
    this.shapes = shapes;
    this.code = code;
  }
}

/** Whether memory ran out: then the same can be tried with less at once. */
export function isOutOfMemory(error: unknown): error is TensorError {
  return error instanceof TensorError && error.code === "OUT_OF_MEMORY";
}
