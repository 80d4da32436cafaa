import { Tensor } from "../../tensor/index.js";

/** Largest factor that is multiplied at once; powers of two above it are taken apart. */
const LARGEST_POWER = 32;
/** Largest order that is looked for among Paley's. */
const LARGEST_PALEY = 512;

/**
 * Factors of an orthogonal `[n, n]` matrix whose entries are as even as `n` allows: their Kronecker product is `H / sqrt(n)`
 * with a Hadamard matrix H where one of order `m 2^k` is known (Sylvester's, Paley's), else blocks of Sylvester's along the
 * diagonal. fp32 `[f, f]` each, outermost first.
 * Sources: Sylvester (1867); Paley, "On orthogonal matrices" (1933).
 */
export function hadamardFactors(n: number): Tensor[] {
  const { odd, power } = hadamardOrder(n);
  const factors = odd === 1 ? [] : [paley(odd) ?? identity(odd)];
  for (let rest = power; rest > 1; ) {
    const size = Math.min(rest, LARGEST_POWER);
    factors.push(matrix(size, (i, j) => (bits(i & j) % 2 === 0 ? 1 : -1) / Math.sqrt(size)));
    rest /= size;
  }
  return factors;
}

/** Size of the Sylvester part of the matrix of order `n`, and what is left: 1, an order of Paley's, or any number. */
function hadamardOrder(n: number): { odd: number; power: number } {
  let power = 1;
  while (n % (power * 2) === 0) power *= 2;
  for (let size = power; size >= 1; size /= 2) {
    const odd = n / size;
    if (odd > LARGEST_PALEY) break;
    if (odd === 1 || isPaleyOrder(odd)) return { odd, power: size };
  }
  return { odd: n / power, power };
}

/** Multiplies each row of `x` `[rows, n]` by the Kronecker product of `factors`. */
export function multiplyKronecker(x: Tensor, factors: readonly Tensor[]): Tensor {
  const [rows, n] = [x.size(0), x.size(1)];
  // Each factor meets the last axis, which then goes first: after all of them the axes stand as before.
  return [...factors].reverse().reduce((y, factor) => {
    const size = factor.size(0);
    return y
      .reshape([rows, n / size, size])
      .matmul(factor)
      .transpose(1, 2)
      .reshape([rows, n]);
  }, x);
}

function isPaleyOrder(order: number): boolean {
  const q = order - 1;
  if (q % 4 === 3 && isPrime(q)) return true;
  const half = order / 2 - 1;
  return half % 4 === 1 && isPrime(half);
}

// Paley's first construction for q = order - 1 = 3 mod 4, his second for q = order / 2 - 1 = 1 mod 4.
function paley(order: number): Tensor | null {
  if (!isPaleyOrder(order)) return null;
  const unit = 1 / Math.sqrt(order);
  const q = order - 1;
  if (q % 4 === 3 && isPrime(q)) {
    const conference = conferenceMatrix(q, -1);
    return matrix(order, (i, j) => unit * (conference(i, j) + (i === j ? 1 : 0)));
  }
  const conference = conferenceMatrix(order / 2 - 1, 1);
  return matrix(order, (i, j) => {
    const entry = conference(i >> 1, j >> 1);
    const corner = i % 2 === 1 && j % 2 === 1;
    // [[1, 1], [1, -1]] for each +-1, [[1, -1], [-1, -1]] for each 0.
    return unit * (entry === 0 ? (i % 2 === 0 && j % 2 === 0 ? 1 : -1) : corner ? -entry : entry);
  });
}

// Zeros on the diagonal, +-1 elsewhere, from the squares modulo the prime q; `sign` is that of the first column.
function conferenceMatrix(q: number, sign: number): (i: number, j: number) => number {
  const squares = new Set(Array.from({ length: q - 1 }, (_, i) => ((i + 1) * (i + 1)) % q));
  return (i, j) => {
    if (i === j) return 0;
    if (i === 0) return 1;
    if (j === 0) return sign;
    return squares.has((((i - j) % q) + q) % q) ? 1 : -1;
  };
}

function isPrime(n: number): boolean {
  if (n < 2 || !Number.isInteger(n)) return false;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return true;
}

function bits(n: number): number {
  let count = 0;
  for (let rest = n; rest > 0; rest >>= 1) count += rest & 1;
  return count;
}

function identity(n: number): Tensor {
  return matrix(n, (i, j) => (i === j ? 1 : 0));
}

function matrix(n: number, entry: (i: number, j: number) => number): Tensor {
  return Tensor.from(
    Float32Array.from({ length: n * n }, (_, at) => entry(Math.floor(at / n), at % n)),
    [n, n],
  );
}
