/**
 * How far two results of one model and scheme lie apart, code by code: `node scripts/stress/code-difference.mjs A B`. Exits with 0
 * when they are equal.
 */
import { fileURLToPath } from "node:url";
import { openCompressedTensors } from "../../dist/format/compressed-tensors/read.js";

/**
 * @param {string} first @param {string} second folders of results
 * @returns {Promise<import("./code-difference.mjs").CodeDifference>}
 */
export async function codeDifference(first, second) {
  const [a, b] = [await openCompressedTensors(first), await openCompressedTensors(second)];
  const total = { weights: 0, codes: 0, groups: 0, scales: 0 };
  try {
    for (const name of a.linears.keys()) {
      const [left, right] = [await a.readQuantized(name), await b.readQuantized(name)];
      if (left.codes.length !== right.codes.length || left.scales.length !== right.scales.length) {
        throw new Error(`${name} has another shape in ${second} than in ${first}`);
      }
      total.weights += left.codes.length;
      total.groups += left.scales.length;
      total.codes += left.codes.reduce((sum, code, i) => sum + (code === right.codes[i] ? 0 : 1), 0);
      total.scales += left.scales.reduce(
        (sum, scale, i) => sum + (scale === right.scales[i] && left.zeroPoints[i] === right.zeroPoints[i] ? 0 : 1),
        0,
      );
    }
  } finally {
    a[Symbol.dispose]();
    b[Symbol.dispose]();
  }
  return total;
}

/** @param {import("./code-difference.mjs").CodeDifference} difference */
export function differenceText({ weights, codes, groups, scales }) {
  const share = (/** @type {number} */ part, /** @type {number} */ whole) => `${((100 * part) / whole).toFixed(4)} %`;
  return `${codes} of ${weights} codes (${share(codes, weights)}), ${scales} of ${groups} scales (${share(scales, groups)})`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [first, second] = process.argv.slice(2);
  if (first === undefined || second === undefined) throw new Error("give two folders of results");
  const difference = await codeDifference(first, second);
  process.stdout.write(`different: ${differenceText(difference)}\n`);
  process.exitCode = difference.codes + difference.scales === 0 ? 0 : 1;
}
