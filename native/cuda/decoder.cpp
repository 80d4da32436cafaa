// The passes of a decoder block between its products, on CUDA in fp32 and bf16.
#ifdef CROSSBLOCK_CUDA
#include <torch/library.h>

#include "arguments.h"

namespace crossblock::cuda {

namespace {

const Program kDecoder{"decoder.cu", {}};

// Packs up to which one warp takes a row: it needs no barrier.
constexpr int64_t kWarpPacks = 128;

// How rows are worked on: neighbours at once, threads to a row, rows to a block, and the kernels' suffix.
struct Rows {
  int64_t rows;
  int64_t pack;
  int64_t threads;
  std::string suffix;

  Size grid() const { return {upTo(rows, perBlock())}; }
  Size block() const { return {threads, perBlock()}; }
  int64_t perBlock() const { return threads == 32 ? 4 : 1; }

  explicit Rows(const at::Tensor& x)
      : rows(x.numel() / std::max<int64_t>(1, x.size(-1))),
        pack(packOf(x.size(-1), x.scalar_type() == at::kFloat ? 4 : 8)),
        threads(x.size(-1) / pack <= kWarpPacks ? 32 : rowThreads(x.size(-1) / pack)),
        suffix(std::string("_") + suffixOf(x) + "_" + std::to_string(pack)) {}
};

Size blocksFor(int64_t items) { return {std::min(kMostBlocks, upTo(items, kThreads))}; }

at::Tensor dense(const at::Tensor& x, const char* name) { return alignedDense(dense16Or32(x, name)); }

at::Tensor denseLike(const at::Tensor& x, const char* name, const at::Tensor& like) {
  TORCH_CHECK(x.scalar_type() == like.scalar_type(), name, " must have the dtype ", like.scalar_type());
  TORCH_CHECK(x.sizes() == like.sizes(), name, " must have the shape ", like.sizes(), ", not ", x.sizes());
  return alignedDense(x.contiguous());
}

std::tuple<at::Tensor, at::Tensor> rmsNorm(const at::Tensor& input, const at::Tensor& gain, double eps) {
  const at::Tensor x = dense(input, "x"), weight = dense(gain, "weight");
  TORCH_CHECK(weight.numel() == x.size(-1) && weight.scalar_type() == x.scalar_type(),
              "the norm's weight must be as wide as x and of its dtype");
  const Rows rows(x);
  const at::Tensor out = at::empty_like(x), inverse = at::empty({rows.rows}, x.options().dtype(at::kFloat));
  launch(kDecoder, "rms_norm_forward" + rows.suffix, rows.grid(), rows.block(), x, x.data_ptr(), weight.data_ptr(),
         out.data_ptr(), writable(inverse), static_cast<int>(rows.rows), static_cast<int>(x.size(-1)), static_cast<float>(eps));
  return {out, inverse};
}

at::Tensor rmsNormBackward(const at::Tensor& gradients, const at::Tensor& input, const at::Tensor& gain,
                           const at::Tensor& inverse) {
  const at::Tensor x = dense(input, "x"), weight = dense(gain, "weight"), gradient = denseLike(gradients, "gradient", x);
  const Rows rows(x);
  TORCH_CHECK(weight.numel() == x.size(-1) && inverse.numel() == rows.rows, "shapes differ");
  const at::Tensor dx = at::empty_like(x);
  launch(kDecoder, "rms_norm_backward" + rows.suffix, rows.grid(), rows.block(), x, gradient.data_ptr(), x.data_ptr(),
         weight.data_ptr(), floats(inverse), dx.data_ptr(), static_cast<int>(rows.rows), static_cast<int>(x.size(-1)));
  return dx;
}

// Elementwise: rows don't matter, only the whole.
std::string flatSuffix(const at::Tensor& x, int64_t& pack) {
  pack = packOf(x.numel(), x.scalar_type() == at::kFloat ? 4 : 8);
  return std::string("_") + suffixOf(x) + "_" + std::to_string(pack);
}

at::Tensor siluProduct(const at::Tensor& gates, const at::Tensor& ups) {
  const at::Tensor gate = dense(gates, "gate"), up = denseLike(ups, "up", gate), out = at::empty_like(gate);
  int64_t pack = 1;
  const std::string suffix = flatSuffix(gate, pack);
  launch(kDecoder, "silu_product_forward" + suffix, blocksFor(gate.numel() / pack), {kThreads}, gate, gate.data_ptr(),
         up.data_ptr(), out.data_ptr(), static_cast<long long>(gate.numel()));
  return out;
}

std::tuple<at::Tensor, at::Tensor> siluProductBackward(const at::Tensor& gradients, const at::Tensor& gates,
                                                       const at::Tensor& ups) {
  const at::Tensor gate = dense(gates, "gate"), up = denseLike(ups, "up", gate);
  const at::Tensor gradient = denseLike(gradients, "gradient", gate);
  const at::Tensor dGate = at::empty_like(gate), dUp = at::empty_like(up);
  int64_t pack = 1;
  const std::string suffix = flatSuffix(gate, pack);
  launch(kDecoder, "silu_product_backward" + suffix, blocksFor(gate.numel() / pack), {kThreads}, gate,
         gradient.data_ptr(), gate.data_ptr(), up.data_ptr(), dGate.data_ptr(), dUp.data_ptr(),
         static_cast<long long>(gate.numel()));
  return {dGate, dUp};
}

at::Tensor rotary(const at::Tensor& input, const at::Tensor& cosines, const at::Tensor& sines, double sign) {
  TORCH_CHECK(input.dim() == 4 && input.size(3) % 2 == 0, "x must be [batch, heads, time, headDim]");
  const at::Tensor x = input.stride(3) == 1 ? input : input.contiguous();
  const at::Tensor cos = dense16Or32(cosines, "cos"), sin = dense16Or32(sines, "sin");
  const int64_t half = x.size(3) / 2;
  TORCH_CHECK(cos.numel() == x.size(2) * half && sin.numel() == cos.numel() && cos.scalar_type() == x.scalar_type() &&
                  sin.scalar_type() == x.scalar_type(),
              "cos and sin must be [time, headDim / 2] in the dtype of x");
  const at::Tensor out = at::empty(x.sizes(), x.options());
  const int64_t pairs = x.numel() / 2, most = x.scalar_type() == at::kFloat ? 4 : 8;
  const bool even = aligned(x) && aligned(cos) && aligned(sin) && half % most == 0 && x.stride(0) % most == 0 &&
                    x.stride(1) % most == 0 && x.stride(2) % most == 0;
  const int64_t pack = even ? most : 1;
  launch(kDecoder, std::string("rotary_") + suffixOf(x) + "_" + std::to_string(pack), blocksFor(pairs / pack), {kThreads}, x, x.data_ptr(), cos.data_ptr(),
         sin.data_ptr(), out.data_ptr(), static_cast<int>(x.size(1)), static_cast<int>(x.size(2)),
         static_cast<int>(half), static_cast<long long>(x.stride(0)), static_cast<long long>(x.stride(1)),
         static_cast<long long>(x.stride(2)), static_cast<float>(sign), static_cast<long long>(pairs));
  return out;
}

std::tuple<at::Tensor, at::Tensor> tokenError(const at::Tensor& targets, const at::Tensor& outputs) {
  const at::Tensor actual = dense(outputs, "actual"), target = denseLike(targets, "target", actual);
  const Rows rows(actual);
  const auto options = actual.options().dtype(at::kFloat);
  const at::Tensor error = at::empty({rows.rows}, options), inverse = at::empty({rows.rows}, options);
  launch(kDecoder, "token_error_forward" + rows.suffix, rows.grid(), rows.block(), actual, target.data_ptr(),
         actual.data_ptr(), writable(error), writable(inverse), static_cast<int>(rows.rows), static_cast<int>(actual.size(-1)));
  return {error.mean(), inverse};
}

at::Tensor tokenErrorBackward(const at::Tensor& gradient, const at::Tensor& targets, const at::Tensor& outputs,
                              const at::Tensor& inverse) {
  const at::Tensor actual = dense(outputs, "actual"), target = denseLike(targets, "target", actual);
  const Rows rows(actual);
  TORCH_CHECK(gradient.numel() == 1 && inverse.numel() == rows.rows, "shapes differ");
  const at::Tensor above = denseFloat(gradient, "gradient"), result = at::empty_like(actual);
  launch(kDecoder, "token_error_backward" + rows.suffix, rows.grid(), rows.block(), actual, floats(above),
         target.data_ptr(), actual.data_ptr(), floats(inverse), result.data_ptr(), static_cast<int>(rows.rows), static_cast<int>(actual.size(-1)));
  return result;
}

float topOf(int64_t bits) { return static_cast<float>((1 << (bits - 1)) - 1); }

at::Tensor tokenRound(const at::Tensor& input, const at::Tensor& clips, int64_t bits) {
  const at::Tensor x = dense(input, "x"), clip = denseFloat(clips, "clip"), out = at::empty_like(x);
  const Rows rows(x);
  launch(kDecoder, "token_round_forward" + rows.suffix, rows.grid(), rows.block(), x, x.data_ptr(), floats(clip),
         out.data_ptr(), static_cast<int>(rows.rows), static_cast<int>(x.size(-1)), topOf(bits));
  return out;
}

std::tuple<at::Tensor, at::Tensor> tokenRoundBackward(const at::Tensor& gradients, const at::Tensor& input,
                                                      const at::Tensor& clips, int64_t bits) {
  const at::Tensor x = dense(input, "x"), clip = denseFloat(clips, "clip"), gradient = denseLike(gradients, "gradient", x);
  const Rows rows(x);
  const at::Tensor dx = at::empty_like(x), dClip = at::empty({rows.rows}, clip.options());
  launch(kDecoder, "token_round_backward" + rows.suffix, rows.grid(), rows.block(), x, gradient.data_ptr(),
         x.data_ptr(), floats(clip), dx.data_ptr(), writable(dClip), static_cast<int>(rows.rows), static_cast<int>(x.size(-1)), topOf(bits));
  return {dx, dClip.sum().reshape(clip.sizes())};
}

}  // namespace

TORCH_LIBRARY_IMPL(crossblock, CUDA, library) {
  library.impl("rms_norm", rmsNorm);
  library.impl("rms_norm_backward", rmsNormBackward);
  library.impl("silu_product", siluProduct);
  library.impl("silu_product_backward", siluProductBackward);
  library.impl("rotary", rotary);
  library.impl("token_error", tokenError);
  library.impl("token_error_backward", tokenErrorBackward);
  library.impl("token_round", tokenRound);
  library.impl("token_round_backward", tokenRoundBackward);
}

}  // namespace crossblock::cuda
#endif
