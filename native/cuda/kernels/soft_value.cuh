// The soft value of a weight, and where a warp works: what both directions of soft_round.cu share.
#pragma once

#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif

constexpr float kZeta = 1.1f;
constexpr float kGamma = -0.1f;
constexpr int N = COLUMNS_PER_LANE;
constexpr int kColumns = 32 * N;
constexpr int kFactors = RANK == 0 ? 1 : RANK;

struct Shape {
  int rows, columns, groupSize;
  int rowsPerWarp;
  float top;
};

struct Place {
  int firstRow, lastRow, column, segment, segments, chunk;
  bool inside;
};

__device__ __forceinline__ Place placeOf(const Shape& shape) {
  const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  Place place;
  place.segments = (shape.columns + kColumns - 1) / kColumns;
  place.segment = warp % place.segments;
  place.chunk = warp / place.segments;
  place.firstRow = place.chunk * shape.rowsPerWarp;
  place.lastRow = min(shape.rows, place.firstRow + shape.rowsPerWarp);
  place.column = place.segment * kColumns + threadIdx.x % 32 * N;
  place.inside = place.column < shape.columns;
  return place;
}

// What turns D into the exponent of 2 that e^-D is.
constexpr float kExponent = -1.44269504f;
constexpr float kPerExponent = -0.69314718f;

// The exponents of one row.
__device__ __forceinline__ void exponentsOf(const float* left, const float* offset, const float (&right)[kFactors][N],
                                            const Shape& shape, int row, int column, float (&to)[N]) {
#if RANK == 0
  loadPack<N>(offset + static_cast<long long>(row) * shape.columns + column, to);
#pragma unroll
  for (int j = 0; j < N; ++j) to[j] *= kExponent;
#else
#pragma unroll
  for (int j = 0; j < N; ++j) to[j] = 0;
#pragma unroll
  for (int r = 0; r < RANK; ++r) {
    const float factor = left[row * RANK + r];
#pragma unroll
    for (int j = 0; j < N; ++j) to[j] += factor * right[r][j];
  }
#endif
}

// A2 in the exponents' unit.
__device__ __forceinline__ void loadRight(const float* offset, const Shape& shape, const Place& place,
                                          float (&right)[kFactors][N]) {
#if RANK > 0
#pragma unroll
  for (int r = 0; r < RANK; ++r) {
#pragma unroll
    for (int j = 0; j < N; ++j) right[r][j] = 0;
    if (place.inside) loadPack<N>(offset + static_cast<long long>(r) * shape.columns + place.column, right[r]);
#pragma unroll
    for (int j = 0; j < N; ++j) right[r][j] *= kExponent;
  }
#endif
}

struct Soft {
  float floor, sigmoid, h;
  float lean;  // 2 h - 1 before h is clipped: beyond 1 where it is
};

__device__ __forceinline__ float powerOfTwo(float x) {
  asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(x));
  return x;
}

__device__ __forceinline__ float reciprocal(float x) {
  asm("rcp.approx.ftz.f32 %0, %0;" : "+f"(x));
  return x;
}

// `inverse` is about 1 / divisor: one step of correction makes the quotient the one that a division gives.
__device__ __forceinline__ float quotient(float x, float divisor, float inverse) {
  const float q = x * inverse;
  return fmaf(fmaf(-q, divisor, x), inverse, q);
}

// With p = sigmoid(V0), sigmoid(V0 + D) = p / (p + (1 - p) e^-D), so V0 is never computed.
__device__ __forceinline__ Soft softly(float weight, float start, float inverse, float exponent) {
  const float units = quotient(weight, start, inverse);
  Soft soft;
  soft.floor = floorf(units);
  const float p = fmaf(units - soft.floor, 1 / (kZeta - kGamma), -kGamma / (kZeta - kGamma));
  soft.sigmoid = p * reciprocal(fmaf(1 - p, powerOfTwo(exponent), p));
  soft.h = __saturatef(fmaf(soft.sigmoid, kZeta - kGamma, kGamma));
  soft.lean = fmaf(soft.sigmoid, 2 * (kZeta - kGamma), 2 * kGamma - 1);
  return soft;
}

// Rows that a warp works on at once: their loads are under way together.
constexpr int kRows = 4;
// Blocks that a multiprocessor is to hold: with these rows and blocks the backward pass was fastest on an H100, of 2 and 4
// rows, 3 to 5 blocks; eight columns a lane were no faster (docs/measurements/speed.md).
constexpr int kBlocks = 4;
