// Products of small matrices that are in the cache already, without packing and without a call.
#pragma once

#include "simd.h"

namespace crossblock::CROSSBLOCK_ISA {

// Accumulators of one piece of the result: as many as the registers hold beside the operands.
#if defined(__AVX512F__)
constexpr int kRows = 12;
#else
constexpr int kRows = 6;
#endif

// A matrix `[rows, columns]` with any strides.
struct Strided {
  const float* data;
  int64_t rowStride;
  int64_t columnStride;
};

template <int Rows, int Vectors, bool Accumulate, typename T>
inline void gemmPiece(int64_t depth, const Strided& a, const T* b, int64_t bStride, float* c, int64_t cStride) {
  Floats sums[Rows][Vectors];
  for (int i = 0; i < Rows; ++i) {
    for (int j = 0; j < Vectors; ++j) {
      sums[i][j] = Accumulate ? load(c + i * cStride + j * kLanes) : splat(0.0f);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Floats right[Vectors];
    for (int j = 0; j < Vectors; ++j) right[j] = load(b + k * bStride + j * kLanes);
    const float* left = a.data + k * a.columnStride;
    for (int i = 0; i < Rows; ++i) {
      const Floats factor = splat(left[i * a.rowStride]);
      for (int j = 0; j < Vectors; ++j) sums[i][j] += factor * right[j];
    }
  }
  for (int i = 0; i < Rows; ++i) {
    for (int j = 0; j < Vectors; ++j) store(c + i * cStride + j * kLanes, sums[i][j]);
  }
}

template <int Vectors, bool Accumulate, typename T>
inline void gemmColumns(int64_t rows, int64_t depth, Strided a, const T* b, int64_t bStride, float* c,
                        int64_t cStride) {
  int64_t row = 0;
  for (; row + kRows <= rows; row += kRows) {
    gemmPiece<kRows, Vectors, Accumulate>(depth, a, b, bStride, c, cStride);
    a.data += kRows * a.rowStride;
    c += kRows * cStride;
  }
  for (; row + 2 <= rows; row += 2) {
    gemmPiece<2, Vectors, Accumulate>(depth, a, b, bStride, c, cStride);
    a.data += 2 * a.rowStride;
    c += 2 * cStride;
  }
  if (row < rows) gemmPiece<1, Vectors, Accumulate>(depth, a, b, bStride, c, cStride);
}

// c = a b, or c += a b: `a [rows, depth]` strided, `b [depth, columns]`, of either type, and `c [rows, columns]`
// with rows that lie dense. `columns` is a multiple of kLanes.
template <bool Accumulate, typename T>
inline void gemm(int64_t rows, int64_t columns, int64_t depth, const Strided& a, const T* b, int64_t bStride,
                 float* c, int64_t cStride) {
  int64_t column = 0;
  for (; column + 2 * kLanes <= columns; column += 2 * kLanes) {
    gemmColumns<2, Accumulate>(rows, depth, a, b + column, bStride, c + column, cStride);
  }
  if (column < columns) gemmColumns<1, Accumulate>(rows, depth, a, b + column, bStride, c + column, cStride);
}

}  // namespace crossblock::CROSSBLOCK_ISA
