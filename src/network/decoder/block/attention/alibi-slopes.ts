/**
 * How fast the scores of each head fall with the distance: `2^(-8 i / n)` for `i = 1 .. n` heads where `n` is a power of two. Of
 * other numbers of heads the first have the slopes of the power below, the rest every second one of twice that power.
 * Source: ALiBi (arXiv 2108.12409), section 3, and its released code.
 */
export function alibiSlopes(heads: number): Float32Array {
  const power = 2 ** Math.floor(Math.log2(heads));
  const slope = (i: number, n: number): number => 2 ** ((-8 * i) / n);
  return Float32Array.from({ length: heads }, (_, head) =>
    head < power ? slope(head + 1, power) : slope(2 * (head - power) + 1, 2 * power),
  );
}
