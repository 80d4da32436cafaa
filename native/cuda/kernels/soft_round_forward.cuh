// The forward pass of soft_round.cu.
#pragma once

#include "soft_value.cuh"

template <typename W, typename T>
__device__ void softRoundForward(const W* weight, const float* starts, const float* offset, const float* left,
                                 const float* scales, const float* zeroPoints, T* out, Shape shape) {
  const Place place = placeOf(shape);
  if (!place.inside) return;
  float right[kFactors][N];
  loadRight(offset, shape, place, right);
  const int groups = shape.columns / shape.groupSize, own = place.column / shape.groupSize;
  for (int first = place.firstRow; first < place.lastRow; first += kRows) {
    float w[kRows][N], scale[kRows], start[kRows], inverse[kRows], least[kRows];
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      const int row = min(first + k, shape.rows - 1), group = row * groups + own;
      loadPack<N>(weight + static_cast<long long>(row) * shape.columns + place.column, w[k]);
      scale[k] = scales[group];
      start[k] = starts[group];
      inverse[k] = reciprocal(start[k]);
      least[k] = -rintf(zeroPoints[group]);
    }
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      const int row = first + k;
      if (row >= place.lastRow) break;
      float exponents[N];
      exponentsOf(left, offset, right, shape, row, place.column, exponents);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const Soft soft = softly(w[k][j], start[k], inverse[k], exponents[j]);
        w[k][j] = bounded(soft.floor + soft.h, least[k], least[k] + shape.top) * scale[k];
      }
      storePack<N>(out + static_cast<long long>(row) * shape.columns + place.column, w[k]);
    }
  }
}
