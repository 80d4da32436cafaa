// crossblock::causal_attention and its backward, for fp32 and bf16 on the CPU.
#include <torch/library.h>

#include "rows.h"

namespace crossblock {

namespace {

HeadLayout layoutOf(const at::Tensor& x) { return {x.stride(0), x.stride(1), x.stride(2)}; }

// The kernels walk a head's numbers one by one; how the heads lie in memory is up to the caller.
at::Tensor denseHeads(const at::Tensor& x, const char* name, at::ScalarType type) {
  TORCH_CHECK(x.dim() == 4 && x.scalar_type() == type, name, " must be ", type, " [batch, heads, time, headDim]");
  return x.stride(3) == 1 ? x : x.contiguous();
}

AttentionShape shapeOf(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                       c10::optional<int64_t> window) {
  TORCH_CHECK(k.sizes() == v.sizes() && q.size(0) == k.size(0) && q.size(3) == k.size(3),
              "keys and values must have one shape, and the queries' batch and headDim");
  TORCH_CHECK(q.size(1) % k.size(1) == 0, "each head of keys must serve equally many heads of queries");
  TORCH_CHECK(q.size(3) % kHeadDimUnit == 0, "headDim must be a multiple of ", kHeadDimUnit);
  TORCH_CHECK(k.size(2) >= q.size(2), "every query must have a key of its own");
  TORCH_CHECK(!window.has_value() || *window > 0, "the window must hold a key at least");
  const int64_t seen = k.size(2);
  return {q.size(1), k.size(1), q.size(2), seen, q.size(3), window.value_or(seen), static_cast<float>(scale)};
}

// [batch, kvHeads, headDim, time], time padded with zeros to whole tiles: what a row of scores multiplies.
at::Tensor across(const at::Tensor& x) {
  const int64_t padded = (x.size(2) + kKeyTile - 1) / kKeyTile * kKeyTile;
  at::Tensor result = at::zeros({x.size(0), x.size(1), x.size(3), padded}, x.options());
  result.narrow(3, 0, x.size(2)).copy_(x.transpose(2, 3));
  return result;
}

std::tuple<at::Tensor, at::Tensor> causalAttention(const at::Tensor& queries, const at::Tensor& keys,
                                                   const at::Tensor& values, double scale,
                                                   c10::optional<int64_t> window) {
  const at::ScalarType type = kernelType(queries.scalar_type(), "q");
  const at::Tensor q = denseHeads(queries, "q", type);
  const at::Tensor k = denseHeads(keys, "k", type), v = denseHeads(values, "v", type);
  const AttentionShape shape = shapeOf(q, k, v, scale, window);
  const int64_t batch = q.size(0);
  // Heads innermost but one, as the projection that follows wants them.
  const at::Tensor out = at::empty({batch, shape.time, shape.heads, shape.headDim}, q.options()).transpose(1, 2);
  const at::Tensor logSum = at::empty({batch, shape.heads, shape.time}, q.options().dtype(at::kFloat));
  const at::Tensor keysAcross = across(k);
  const int64_t tiles = (shape.time + kQueryTile - 1) / kQueryTile;
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    const AttentionForward<T> job{shape,       data<T>(q),  data<T>(k),          data<T>(v),
                                  layoutOf(q), layoutOf(k), layoutOf(v),         data<T>(keysAcross),
                                  data<T>(out), layoutOf(out), data<float>(logSum)};
    at::parallel_for(0, batch * shape.heads * tiles, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(attentionForwardScratch(shape.headDim));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t line = i / tiles;
        kernelsOf(sample).attentionForward(job, line / shape.heads, line % shape.heads, i % tiles, scratch.data());
      }
    });
  });
  return {out, logSum};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> causalAttentionBackward(
    const at::Tensor& gradients, const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
    const at::Tensor& out, const at::Tensor& logSum, double scale, c10::optional<int64_t> window) {
  const at::ScalarType type = kernelType(queries.scalar_type(), "q");
  const at::Tensor q = denseHeads(queries, "q", type), k = denseHeads(keys, "k", type);
  const at::Tensor v = denseHeads(values, "v", type), gradient = denseHeads(gradients, "gradient", type);
  const AttentionShape shape = shapeOf(q, k, v, scale, window);
  const int64_t batch = q.size(0);
  TORCH_CHECK(logSum.is_contiguous() && logSum.scalar_type() == at::kFloat && logSum.sizes() == q.sizes().slice(0, 3),
              "logSum must be [batch, heads, time]");
  const at::Tensor dq = at::zeros(q.sizes(), logSum.options());
  const at::Tensor dk = at::empty(k.sizes(), k.options());
  const at::Tensor dv = at::empty(v.sizes(), v.options());
  const at::Tensor weighted = gradient.mul(out).sum(-1, false, at::kFloat).contiguous();
  const at::Tensor keysAcross = across(k), valuesAcross = across(v);
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    const AttentionBackward<T> job{shape,
                                   data<T>(q),
                                   data<T>(k),
                                   data<T>(v),
                                   data<T>(gradient),
                                   layoutOf(q),
                                   layoutOf(k),
                                   layoutOf(v),
                                   layoutOf(gradient),
                                   data<T>(keysAcross),
                                   data<T>(valuesAcross),
                                   data<float>(logSum),
                                   data<float>(weighted),
                                   data<float>(dq),
                                   data<T>(dk),
                                   data<T>(dv)};
    at::parallel_for(0, batch * shape.kvHeads, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(attentionBackwardScratch(shape.headDim));
      for (int64_t i = begin; i < end; ++i) {
        kernelsOf(sample).attentionBackward(job, i / shape.kvHeads, i % shape.kvHeads, scratch.data());
      }
    });
  });
  return {dq.to(type), dk, dv};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(crossblock, library) {
  library.def("causal_attention(Tensor q, Tensor k, Tensor v, float scale, int? window) -> (Tensor, Tensor)");
  library.def(
      "causal_attention_backward(Tensor gradient, Tensor q, Tensor k, Tensor v, Tensor out, Tensor log_sum, "
      "float scale, int? window) -> (Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(crossblock, CPU, library) {
  library.impl("causal_attention", causalAttention);
  library.impl("causal_attention_backward", causalAttentionBackward);
}

}  // namespace crossblock
