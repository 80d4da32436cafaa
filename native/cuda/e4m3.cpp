// Matrices in fp8 (e4m3) for the products of a backward pass, on CUDA from compute capability 8.9 on.
#ifdef CROSSBLOCK_CUDA
#include <torch/library.h>

#include "arguments.h"

namespace crossblock::cuda {

namespace {

const Program kE4m3{"e4m3.cu", {}};
// Of a tile, as the kernel has them.
constexpr int64_t kRows = 128, kColumns = 64;

at::Tensor magnitude(const at::Tensor& input) {
  const at::Tensor x = alignedDense(denseOf(input, "x", {at::kBFloat16}));
  TORCH_CHECK(x.numel() % 8 == 0, "the magnitude is that of whole packs of 8 numbers");
  const at::Tensor most = at::zeros({1}, x.options().dtype(at::kFloat));
  launch(kE4m3, "magnitude", {std::min(kMostBlocks, upTo(x.numel() / 8, kThreads))}, {kThreads}, x, x.data_ptr(),
         writable(most), static_cast<long long>(x.numel()));
  return most;
}

// Bytes, because libtorch 1.13 knows no fp8.
std::tuple<at::Tensor, at::Tensor, at::Tensor> castE4m3(const at::Tensor& input, const at::Tensor& magnitudes, bool rowwise) {
  const at::Tensor x = alignedDense(denseOf(input, "x", {at::kBFloat16})), most = denseFloat(magnitudes, "magnitude");
  TORCH_CHECK(x.dim() == 2 && x.size(0) % 16 == 0 && x.size(1) % 16 == 0, "x must be [rows, columns], multiples of 16");
  TORCH_CHECK(most.numel() == 1, "magnitude must be [1]");
  const int64_t rows = x.size(0), columns = x.size(1);
  const auto bytes = x.options().dtype(at::kByte);
  const at::Tensor byRows = at::empty({rowwise ? rows : 0, columns}, bytes), byColumns = at::empty({columns, rows}, bytes);
  const at::Tensor inverse = at::empty({1}, most.options());
  launch(kE4m3, "cast_e4m3", {upTo(columns, kColumns), upTo(rows, kRows)}, {kThreads}, x, x.data_ptr(), floats(most),
         rowwise ? byRows.data_ptr() : nullptr, byColumns.data_ptr(), writable(inverse), static_cast<int>(rows),
         static_cast<int>(columns));
  return {byRows, byColumns, inverse};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(crossblock, library) {
  library.def("magnitude(Tensor x) -> Tensor");
  library.def("cast_e4m3(Tensor x, Tensor magnitude, bool rowwise) -> (Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(crossblock, CUDA, library) {
  library.impl("magnitude", magnitude);
  library.impl("cast_e4m3", castE4m3);
}

}  // namespace crossblock::cuda
#endif
