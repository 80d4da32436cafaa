/** How far two runtimes are apart on the same tokens. */
export interface LogitsComparison {
  readonly perplexity: number;
  readonly referencePerplexity: number;
  /** Share of positions with the same most likely token. */
  readonly topAgreement: number;
  /** Mean Kullback-Leibler divergence from the reference, in nats per token. */
  readonly divergence: number;
  readonly largestDifference: number;
}

/** Compares logits `[tokens, vocabulary]`; the perplexity is that of each next token. */
export function compareLogits(
  logits: Float32Array,
  reference: Float32Array,
  tokens: readonly number[],
): LogitsComparison {
  const vocabulary = logits.length / tokens.length;
  let loss = 0;
  let referenceLoss = 0;
  let same = 0;
  let divergence = 0;
  let largestDifference = 0;
  for (let i = 0; i + 1 < tokens.length; i++) {
    const ours = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
    const theirs = reference.subarray(i * vocabulary, (i + 1) * vocabulary);
    const [a, b] = [logNormalizer(ours), logNormalizer(theirs)];
    const next = tokens[i + 1] ?? 0;
    loss += a - (ours[next] ?? Number.NaN);
    referenceLoss += b - (theirs[next] ?? Number.NaN);
    if (argmax(ours) === argmax(theirs)) same++;
    for (let v = 0; v < vocabulary; v++) {
      const [x, y] = [ours[v] ?? Number.NaN, theirs[v] ?? Number.NaN];
      divergence += Math.exp(y - b) * (y - b - (x - a));
      largestDifference = Math.max(largestDifference, Math.abs(x - y));
    }
  }
  const count = tokens.length - 1;
  return {
    perplexity: Math.exp(loss / count),
    referencePerplexity: Math.exp(referenceLoss / count),
    topAgreement: same / count,
    divergence: divergence / count,
    largestDifference,
  };
}

function logNormalizer(row: Float32Array): number {
  const largest = row[argmax(row)] ?? 0;
  return largest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
}

function argmax(row: Float32Array): number {
  let best = 0;
  for (let v = 1; v < row.length; v++) if ((row[v] ?? Number.NaN) > (row[best] ?? Number.NaN)) best = v;
  return best;
}
