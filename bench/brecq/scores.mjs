/** An image is told surely from this probability of its first class on. */
const SURE = 0.5;

/**
 * How two networks' log-probabilities compare: accuracy where labels are known, agreement of the first class, and the mean of
 * `KL(reference || actual)` in nats. `sure`: the share of images that the reference is sure of, and the agreement on these.
 *
 * @param {readonly Float32Array[]} reference @param {readonly Float32Array[]} actual rows of log-probabilities, in pieces
 * @param {number} classes @param {Uint8Array | Uint16Array | null} labels
 */
export function scores(reference, actual, classes, labels) {
  let [count, right, same, divergence, sure, sureSame] = [0, 0, 0, 0, 0, 0];
  reference.forEach((piece, k) => {
    const other = actual[k];
    for (let at = 0; at < piece.length; at += classes) {
      const [p, q] = [piece.subarray(at, at + classes), other.subarray(at, at + classes)];
      const [first, guess] = [largest(p), largest(q)];
      if (first === guess) same++;
      if (p[first] >= Math.log(SURE)) {
        sure++;
        if (first === guess) sureSame++;
      }
      if (labels !== null && labels[count] === guess) right++;
      for (let i = 0; i < classes; i++) divergence += Math.exp(p[i]) * (p[i] - Math.max(q[i], -100));
      count++;
    }
  });
  const accuracy = labels === null ? null : right / count;
  const told = { share: sure / count, agreement: sure === 0 ? null : sureSame / sure };
  return { accuracy, agreement: same / count, kl: divergence / count, sure: told };
}

function largest(values) {
  let best = 0;
  values.forEach((value, i) => {
    if (value > values[best]) best = i;
  });
  return best;
}
