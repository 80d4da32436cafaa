/**
 * Row order of q and k for llama.cpp's `llama` architecture. Hugging Face rotates feature i of a head with
 * feature i + d/2, llama.cpp with its neighbour: rows `[heads, 2, d/2]` become `[heads, d/2, 2]`.
 * Entry r is the checkpoint's row that the file's row r holds. Weights and biases alike; columns stay.
 */
export function rotaryOrder(heads: number, headDim: number): Int32Array {
  const half = headDim / 2;
  return Int32Array.from({ length: heads * headDim }, (_, row) => {
    const within = row % headDim;
    return row - within + (within % 2) * half + Math.floor(within / 2);
  });
}
