import { readFileSync } from "node:fs";
import { Tensor } from "../../dist/tensor/index.js";

/**
 * Examples that lie one after the other in a file of little-endian float32.
 *
 * @param {string} file @param {string} input the graph's input @param {readonly number[]} shape of one example
 * @param {number} most examples that are taken
 */
export function rawExamples(file, input, shape, most) {
  const bytes = readFileSync(file);
  const size = shape.reduce((product, each) => product * each, 1);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const total = values.length / size;
  return {
    count: Math.min(most, total),
    /** Examples in the file. */
    total,
    /** @param {readonly number[]} indices */
    read(indices) {
      const rows = new Float32Array(indices.length * size);
      indices.forEach((index, i) => {
        rows.set(values.subarray(index * size, (index + 1) * size), i * size);
      });
      return { [input]: Tensor.from(rows, [indices.length, ...shape]) };
    },
  };
}
