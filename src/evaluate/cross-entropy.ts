import type { Head } from "../network/index.js";
import { callTensor, noGrad, scope, type Tensor } from "../tensor/index.js";

/** Bytes of the fp32 logits and of their log-softmax that are held at once. */
const memory = 256 * 2 ** 20;

/** libtorch's numbers of `reduction="none"` and `"sum"` (aten/src/ATen/core/Reduction.h). */
const [none, sum] = [0, 2];

/**
 * Sum of the cross-entropies, in nats, of `targets [rows]` (int64) under the logits of `hidden [rows, width]`. The
 * logits are made for so many rows at a time that they stay within 256 MiB, and in float32 whatever the head returns.
 */
export function sumCrossEntropy(head: Head, hidden: Tensor, targets: Tensor, vocabSize: number): number {
  let total = 0;
  inParts(head, hidden, targets, vocabSize, (logits, part) => {
    total += callTensor("aten::cross_entropy_loss", [logits, part, null, sum]).item();
  });
  return total;
}

/** The same, one number for every row. */
export function crossEntropies(head: Head, hidden: Tensor, targets: Tensor, vocabSize: number): Float32Array {
  const losses = new Float32Array(hidden.size(0));
  inParts(head, hidden, targets, vocabSize, (logits, part, start) => {
    losses.set(callTensor("aten::cross_entropy_loss", [logits, part, null, none]).toFloat32Array(), start);
  });
  return losses;
}

function inParts(
  head: Head,
  hidden: Tensor,
  targets: Tensor,
  vocabSize: number,
  use: (logits: Tensor, targets: Tensor, start: number) => void,
): void {
  const rows = hidden.size(0);
  const most = Math.max(1, Math.floor(memory / (2 * Float32Array.BYTES_PER_ELEMENT * vocabSize)));
  for (let start = 0; start < rows; start += most) {
    const count = Math.min(most, rows - start);
    noGrad(() =>
      scope(() => {
        use(head(hidden.narrow(0, start, count)).to("float32"), targets.narrow(0, start, count), start);
      }),
    );
  }
}
