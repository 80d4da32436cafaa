import type { Bitmap } from "./png.js";

/** Pixels between images, and the smallest side of an image that needs no enlarging. */
const [GAP, SMALL] = [2, 64];
const BACKGROUND = 255;

/** Images of one size, `[images, channels, height, width]` from -1 to 1, or from `low` to `high`. */
export interface SampleRow {
  readonly values: Float32Array;
  readonly images: number;
}

/**
 * Samples in a grid, a row for each network, from the same noise in each column. Of images with other than three channels the
 * first is shown in grey; small ones are enlarged, each pixel a square.
 *
 * @param range what is shown as black and as white
 */
export function sampleGrid(
  rows: readonly SampleRow[],
  shape: readonly number[],
  range: readonly [low: number, high: number] = [-1, 1],
): Bitmap {
  const [depth = 1, height = 1, width = 1] = shape;
  const channels = depth === 3 ? 3 : 1;
  const times = Math.max(1, Math.ceil(SMALL / Math.max(height, width)));
  const columns = Math.max(...rows.map(({ images }) => images));
  const [cellWidth, cellHeight] = [width * times + GAP, height * times + GAP];
  const [wide, high] = [columns * cellWidth + GAP, rows.length * cellHeight + GAP];
  const values = new Uint8Array(wide * high * channels).fill(BACKGROUND);
  const [low, top] = range;
  for (const [r, row] of rows.entries()) {
    for (let image = 0; image < row.images; image++) {
      for (let y = 0; y < height * times; y++) {
        for (let x = 0; x < width * times; x++) {
          for (let c = 0; c < channels; c++) {
            const pixel = Math.floor(y / times) * width + Math.floor(x / times);
            const value = row.values[(image * depth + c) * height * width + pixel] ?? low;
            const shown = Math.round((255 * (value - low)) / (top - low));
            const at = (r * cellHeight + GAP + y) * wide + image * cellWidth + GAP + x;
            values[at * channels + c] = Math.min(255, Math.max(0, shown));
          }
        }
      }
    }
  }
  return { width: wide, height: high, channels, values };
}
