import { type AttentionPlan, type AttentionValues, type HeadNorm, linearOf } from "../../network/index.js";
import { SecondMoments } from "../../quant/second-moments.js";
import type { HeadFactors } from "../../quant/solver/row-column.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { type Device, isFiniteTensor, keep, noGrad, scope, Tensor } from "../../tensor/index.js";

/** What is measured, beside the factors of queries and keys. */
export interface AttentionStatistics {
  /** `E[X A_h^T A_h X^T]` of every head of the values: as many squares of the hidden size. */
  readonly blockV: boolean;
  /** Rows of the values count by what the output's Linear makes of them, `W_o,h^T W_o,h`; else all alike, as released code does. */
  readonly valueRows: boolean;
}

/** Numbers of inputs that are mixed at once, for as many heads as that holds, or for one. */
export const MIXED_AT_ONCE = 64 * 2 ** 20;

/**
 * Factors of what an error in the Linears of queries, keys and values does to attention, over calibration sequences that come in
 * parts and in order. With queries and keys as they meet, after norms and rotary positions:
 *
 * queries of head h: `R = E[K_h K_h^T]`, keys: `R = E[Q_h Q_h^T]`, summed over the heads that share the key, both turned back,
 * `mean over l of R_l^T C R_l`, so that they meet rows of a weight; values: `C_h = E[X A_h^T A_h X^T]`, likewise.
 *
 * A product of averages is not the average of products: one sequence alone is exact. Nor does a query meet the keys after it, which
 * the factors count like all others, as the paper does.
 *
 * An RMS norm over heads (Qwen3) lies between weight and queries: `q = g u / rms(u)`, `dq = (g / rms)(I - u u^T / |u|^2) du`. The
 * factor passes it on the average, `P G R G P` with `P = I - E[u u^T / |u|^2]`; 1 / rms of a token is taken for the same
 * in all. Without it a factor would ask for what the norm takes out again: the length of a query.
 *
 * Source: BoA (arXiv 2406.13474), section 3; aespa (arXiv 2402.08958) has the same.
 */
export class AttentionFactors implements Disposable {
  readonly #plan: AttentionPlan;
  readonly #keys: Tensor;
  readonly #queries: Tensor;
  /** Of the directions of queries and keys before their norm. */
  readonly #directions: { readonly q: Tensor; readonly k: Tensor };
  /** Of the norms over heads; copies, because those of `1 + weight` live no longer than a forward pass. */
  #gains: { readonly q: Tensor; readonly k: Tensor } | null = null;
  #mixed: SecondMoments[] = [];
  #unrotated: AttentionValues["unrotated"] | null = null;
  #tokens = 0;
  /** Sums that were added to, and those met so far of the part that is being added. */
  #done = 0;
  #met = 0;
  #counted = 0;

  constructor(
    plan: AttentionPlan,
    private readonly statistics: AttentionStatistics,
    private readonly device: Device,
  ) {
    const { heads, kvHeads, headDim } = plan;
    this.#plan = plan;
    const squares = (count: number): Tensor => keep(Tensor.zeros([count, headDim, headDim], { device }));
    this.#keys = squares(kvHeads);
    this.#queries = squares(kvHeads);
    this.#directions = { q: squares(heads), k: squares(kvHeads) };
  }

  /**
   * Runs `work`, which hands what attention computes with of the sequences `part` to its argument, and adds it up. Memory may run
   * out at any sum: done again, in smaller parts, each counts once. What was handed over must live until `work` returns.
   */
  during<T>(part: readonly number[], work: (observe: (values: AttentionValues) => void) => T): T {
    let seen: AttentionValues | null = null;
    const result = work((values) => {
      seen = values;
    });
    if (seen !== null) this.#count(seen, part);
    return result;
  }

  /**
   * The factors of a Linear of queries, keys or values; null for another one, and where they are not finite or the inputs' own
   * second moments `shared` are all there is.
   */
  of(layer: string, unit: QuantizedUnit, shared: SecondMoments): HeadFactors | null {
    const { query, key, value, heads, kvHeads } = this.#plan;
    const columns = [shared];
    switch (layer) {
      case query: {
        const rows = scope(() => this.#unturned(this.#keys.repeatInterleave(heads / kvHeads, 0), "q"));
        return isFiniteTensor(rows) ? { columns, rows, heads } : null;
      }
      case key: {
        const rows = scope(() => this.#unturned(this.#queries, "k"));
        return isFiniteTensor(rows) ? { columns, rows, heads: kvHeads } : null;
      }
      case value: {
        const rows = this.statistics.valueRows ? this.#valueRows(unit) : null;
        const mixed = this.#mixed.length === 0 ? columns : this.#mixed;
        if (!mixed.every(({ matrix }) => isFiniteTensor(matrix))) return null;
        return { columns: mixed, rows, heads: kvHeads };
      }
      default:
        return null;
    }
  }

  [Symbol.dispose](): void {
    for (const sum of [this.#keys, this.#queries, this.#directions.q, this.#directions.k]) sum.dispose();
    for (const gains of Object.values(this.#gains ?? {})) gains.dispose();
    for (const moments of this.#mixed) moments.dispose();
  }

  #count(values: AttentionValues, part: readonly number[]): void {
    this.#unrotated = values.unrotated;
    const { headNorms } = values;
    if (headNorms !== null && this.#gains === null) {
      const copy = ({ gains }: HeadNorm): Tensor => keep(noGrad(() => scope(() => gains.to("float32").clone())));
      this.#gains = { q: copy(headNorms.q), k: copy(headNorms.k) };
    }
    noGrad(() =>
      part.forEach((sequence, i) => {
        if (sequence < this.#counted) return;
        this.#met = 0;
        scope(() => this.#sequence(values, i));
        this.#done = 0;
        this.#counted = sequence + 1;
      }),
    );
  }

  #sequence({ input, q, k, mix, headNorms }: AttentionValues, i: number): void {
    const { heads, kvHeads, headDim } = this.#plan;
    const time = q.size(2);
    const [queries, keys] = [q.narrow(0, i, 1), k.narrow(0, i, 1)];
    const byKey = (x: Tensor): Tensor => x.reshape([kvHeads, -1, headDim]).to("float32");
    this.#once(() => addSquares(this.#keys, byKey(keys)));
    this.#once(() => addSquares(this.#queries, byKey(queries)));
    if (headNorms !== null) {
      const directions = ({ before }: HeadNorm): Tensor => {
        const u = before.select(0, i).transpose(0, 1).to("float32");
        return u.mul(u.square().sum(-1, true).clamp(1e-30).rsqrt());
      };
      this.#once(() => addSquares(this.#directions.q, directions(headNorms.q)));
      this.#once(() => addSquares(this.#directions.k, directions(headNorms.k)));
    }
    this.#once(() => {
      this.#tokens += time;
    });
    if (!this.statistics.blockV) return;
    const x = input.narrow(0, i, 1);
    const width = x.size(2);
    const group = heads / kvHeads;
    if (this.#mixed.length === 0) {
      this.#mixed = Array.from({ length: kvHeads }, () => new SecondMoments(width, this.device));
    }
    const atOnce = Math.max(1, Math.min(kvHeads, Math.floor(MIXED_AT_ONCE / (group * time * width))));
    for (let head = 0; head < kvHeads; head += atOnce) {
      const count = Math.min(atOnce, kvHeads - head);
      scope(() => {
        // A_h X of each head, [1, heads, time, in].
        const mixed = mix(queries.narrow(1, head * group, count * group), keys.narrow(1, head, count), x.unsqueeze(1));
        for (let each = 0; each < count; each++) {
          this.#once(() => this.#mixed[head + each]?.add(mixed.narrow(1, each * group, group)));
        }
      });
    }
  }

  #once(add: () => void): void {
    if (this.#met++ < this.#done) return;
    add();
    this.#done++;
  }

  #unturned(sum: Tensor, side: "q" | "k"): Tensor {
    if (this.#unrotated === null) throw new TypeError("no attention was observed");
    const form = this.#unrotated(sum.div(Math.max(1, this.#tokens)));
    const gains = this.#gains?.[side];
    if (gains === undefined) return form;
    const directions = this.#directions[side].div(Math.max(1, this.#tokens));
    const identity = Tensor.ones([form.size(-1)], { device: form.device });
    const kept = directions.neg();
    for (let head = 0; head < kept.size(0); head++) kept.select(0, head).diagonal().add_(identity);
    return kept.matmul(form.mul(gains.unsqueeze(1)).mul(gains)).matmul(kept);
  }

  // W_o,h^T W_o,h of each head of the values, summed over the heads that read it.
  #valueRows({ weights }: QuantizedUnit): Tensor {
    const { kvHeads, headDim, output } = this.#plan;
    return scope(() => {
      const { weight } = linearOf(weights, output);
      const read = weight
        .to("float32")
        .transpose(0, 1)
        .reshape([kvHeads, -1, headDim, weight.size(0)]);
      return read.matmul(read.transpose(2, 3)).sum(1);
    });
  }
}

// `sum[h] += x_h^T x_h` of `x [heads, n, width]`.
function addSquares(sum: Tensor, x: Tensor): void {
  scope(() => sum.add_(x.transpose(1, 2).matmul(x)));
}
