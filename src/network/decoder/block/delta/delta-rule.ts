import { callTensor, Tensor } from "../../../../tensor/index.js";

/** Fp32 or fp64, `[batch, heads, time, ...]`. */
export interface DeltaRuleInputs {
  /** Scaled already, `[..., keyDim]`. */
  readonly q: Tensor;
  /** Of length one. */
  readonly k: Tensor;
  /** `[..., valueDim]` */
  readonly v: Tensor;
  /** How much of what a key recalls its value replaces, 0 to 1. */
  readonly beta: Tensor;
  /** Log of what is kept of the memory at each position, at most zero. */
  readonly logDecay: Tensor;
  /** What earlier tokens left, `[batch, heads, keyDim, valueDim]`; null before the first one. */
  readonly memory: Tensor | null;
}

/** Positions that are computed together. */
const CHUNK = 64;

/**
 * The gated delta rule, `S_t = a_t S_{t-1} + k_t (b_t (v_t - a_t S_{t-1}^T k_t))^T`, `o_t = S_t^T q_t`, in chunks: what the
 * updates of a chunk take from each other is a triangular system, and only the memory goes from chunk to chunk. Differentiable.
 * Sources: Gated Delta Networks (arXiv 2412.06464), section 3.3; the WY form of the delta rule (arXiv 2406.06484), section 3.2.
 */
export function gatedDeltaRule(inputs: DeltaRuleInputs): { readonly output: Tensor; readonly memory: Tensor } {
  const { q, k, v } = inputs;
  const [batch, heads, time, keyDim] = k.shape as readonly [number, number, number, number];
  const { dtype, device } = v;
  let memory = inputs.memory?.to(dtype) ?? Tensor.zeros([batch, heads, keyDim, v.size(3)], { dtype, device });
  const outputs: Tensor[] = [];
  for (let first = 0; first < time; first += CHUNK) {
    const length = Math.min(CHUNK, time - first);
    const of = (x: Tensor): Tensor => x.narrow(2, first, length);
    const chunk = { q: of(q), k: of(k), v: of(v), beta: of(inputs.beta), logDecay: of(inputs.logDecay), memory };
    const next = computeChunk(chunk);
    outputs.push(next.output);
    memory = next.memory;
  }
  const [only] = outputs;
  return { output: only !== undefined && outputs.length === 1 ? only : Tensor.cat(outputs, 2), memory };
}

function computeChunk({ q, k, v, beta, logDecay, memory }: DeltaRuleInputs & { readonly memory: Tensor }): {
  readonly output: Tensor;
  readonly memory: Tensor;
} {
  const length = q.size(2);
  const decayed = logDecay.cumsum(2);
  const [column, all] = [decayed.unsqueeze(3), decayed.narrow(2, length - 1, 1)];
  // Of what position j wrote, what is left at position i; nothing of later ones, and no infinity for the gradient.
  const later = Tensor.full([length, length], Number.NEGATIVE_INFINITY, { dtype: q.dtype, device: q.device }).triu(1);
  const left = column.sub(decayed.unsqueeze(2)).add(later).exp();
  const weighted = k.mul(beta.unsqueeze(3));
  const system = weighted.matmul(k.transpose(2, 3)).mul(left);
  const solve = (right: Tensor): Tensor =>
    callTensor("aten::linalg_solve_triangular", [system, right], { upper: false, unitriangular: true });
  const corrections = solve(v.mul(beta.unsqueeze(3))).sub(solve(weighted.mul(column.exp())).matmul(memory));
  const output = q
    .mul(column.exp())
    .matmul(memory)
    .add(q.matmul(k.transpose(2, 3)).mul(left).matmul(corrections));
  const written = k.mul(all.sub(decayed).exp().unsqueeze(3)).transpose(2, 3).matmul(corrections);
  return { output, memory: memory.mul(all.exp().unsqueeze(3)).add(written) };
}
