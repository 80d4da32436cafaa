import { callTensor, noGrad, scope, type Tensor } from "../tensor/index.js";

/** Bytes of the fp32 logits and of their log-softmax that are held at once. */
const memory = 256 * 2 ** 20;

/** libtorch's number of `reduction="sum"` (aten/src/ATen/core/Reduction.h). */
const sum = 2;

/**
 * Sum of the cross-entropies, in nats, of `targets [rows]` (int64) under the logits of `hidden [rows, width]`. The
 * logits are made for so many rows at a time that they stay within 256 MiB, and in float32 whatever the head returns.
 *
 * @param head final norm and head: `[rows, vocab]` of `[rows, width]`
 */
export function sumCrossEntropy(
  head: (hidden: Tensor) => Tensor,
  hidden: Tensor,
  targets: Tensor,
  vocabSize: number,
): number {
  const rows = hidden.size(0);
  const most = Math.max(1, Math.floor(memory / (2 * Float32Array.BYTES_PER_ELEMENT * vocabSize)));
  let total = 0;
  for (let start = 0; start < rows; start += most) {
    const count = Math.min(most, rows - start);
    total += noGrad(() =>
      scope(() => {
        const logits = head(hidden.narrow(0, start, count)).to("float32");
        return callTensor("aten::cross_entropy_loss", [logits, targets.narrow(0, start, count), null, sum]).item();
      }),
    );
  }
  return total;
}
