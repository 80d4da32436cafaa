// What L4Q is compared with: a low-rank term that stays beside its weight.
import { keep, noGrad, scope, Tensor } from "../../dist/tensor/index.js";

/**
 * `x W^T + factor (x' A^T) B^T` with a frozen weight, in the dtype of the products: LoRA, where `x'` is `x`; where it sums groups of
 * columns (QA-LoRA), the term adds the same to all weights of a row in a group, which is a real zero point.
 */
export class LowRankBeside {
  hasPenalty = false;

  /** @param pool columns of a group; null for plain LoRA */
  constructor(weight, { rank, alpha, pool }) {
    const [rows, columns] = weight.shape;
    const inputs = pool === null ? columns : columns / pool;
    const leaf = (make) => keep(noGrad(() => scope(make))).requiresGrad_();
    this.weightTensor = keep(weight.detach());
    this.factor = alpha / rank;
    this.pool = pool;
    this.down = leaf(() =>
      Tensor.randn([rank, inputs])
        .mul(Math.sqrt(1 / (3 * inputs)))
        .to(weight.device),
    );
    this.up = leaf(() => Tensor.zeros([rows, rank], { device: weight.device }));
    this.parameters = [
      { role: "lowRank", name: "A", tensor: this.down },
      { role: "lowRank", name: "B", tensor: this.up },
    ];
  }

  product(x, bias, dtype) {
    // Divided by the root of the group's size, so that it begins as large as plain LoRA's.
    const pooled =
      this.pool === null
        ? x
        : x
            .reshape([...x.shape.slice(0, -1), x.size(-1) / this.pool, this.pool])
            .sum(-1)
            .mul(1 / Math.sqrt(this.pool));
    const term = pooled.linear(this.down.to(dtype)).linear(this.up.to(dtype));
    return x.linear(this.weightTensor, bias).add(term.mul(this.factor));
  }

  weight() {
    throw new TypeError("it multiplies by itself");
  }

  /** `W0 + factor B A`, fp32. */
  merged() {
    return noGrad(() => scope(() => this.weightTensor.to("float32").add(this.up.matmul(this.down), this.factor)));
  }

  harden() {
    throw new TypeError("it has no codes");
  }

  dispose() {
    for (const tensor of [this.weightTensor, this.down, this.up]) tensor.dispose();
  }
}
