// Finding grids and codes without training: the search of src/quant/grid/range.ts and the columns of src/quant/solver/gptq.ts.

struct Range {
  float scale, zeroPoint;
};

__device__ float roundingError(const float* weight, const float* importance, int size, Range range, float top) {
  float error = 0;
  for (int i = threadIdx.x; i < size; i += blockDim.x) {
    const float code = bounded(rintf(__fdiv_rn(weight[i], range.scale)) + range.zeroPoint, 0, top);
    const float lost = (code - range.zeroPoint) * range.scale - weight[i];
    error += lost * lost * (importance == nullptr ? 1.0f : importance[i]);
  }
  return rowSum(error);
}

// The scale that serves the codes of round-to-nearest best: sum(w d) / sum(d^2), d = code - zeroPoint.
__device__ Range fitted(const float* weight, const float* importance, int size, Range range, float top) {
  float product = 0, square = 0;
  for (int i = threadIdx.x; i < size; i += blockDim.x) {
    const float code = bounded(rintf(__fdiv_rn(weight[i], range.scale)) + range.zeroPoint, 0, top);
    const float distance = code - range.zeroPoint;
    const float weighted = distance * (importance == nullptr ? 1.0f : importance[i]);
    product += weighted * weight[i];
    square += weighted * distance;
  }
  product = rowSum(product);
  const float scale = product / fmaxf(rowSum(square), 1e-20f);
  return {scale == 0 ? range.scale : storable(scale), range.zeroPoint};
}

// A group of weights belongs to a row of the block of threads; threads of a row agree on every branch, and rows that
// share a warp take as many rounds as the others.
extern "C" __global__ void range_search(const float* weights, const float* importances, float* scales,
                                        float* zeroPoints, long long groups, int groupsPerRow, int groupSize,
                                        int candidates, int neighbours, int refinements, float smallest, float top,
                                        int symmetric) {
  const long long group = static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y;
  const bool live = group < groups;
  const long long at = live ? group : 0;
  const float* weight = weights + at * groupSize;
  const float* importance = importances == nullptr ? nullptr : importances + at % groupsPerRow * groupSize;
  float negative = 0, positive = 0;
  for (int i = threadIdx.x; i < groupSize; i += blockDim.x) {
    negative = fmaxf(negative, -weight[i]);
    positive = fmaxf(positive, weight[i]);
  }
  negative = rowMost(negative);
  positive = rowMost(positive);
  const float half = (top + 1) / 2, longest = fmaxf(negative, positive), sign = negative >= positive ? 1.0f : -1.0f;
  Range best = {1, 0};
  float error = 0;
  // Both signs of a symmetric scale; the zero points around the one that an asymmetric range leads to: 0, 1, -1, 2, ...
  const int variants = symmetric ? 2 : candidates > 1 ? 2 * neighbours + 1 : 1;
  for (int variant = 0; variant < variants; ++variant) {
    const int offset = variant % 2 == 1 ? (variant + 1) / 2 : -variant / 2;
    for (int i = 0; i < candidates; ++i) {
      const double step = candidates > 1 ? static_cast<double>(i) / (candidates - 1) : 0;
      const float ratio = static_cast<float>(1 - step * (1 - static_cast<double>(smallest)));
      Range range;
      if (symmetric) {
        const float scale = longest * __fdiv_rn(ratio, half);
        range = {storable(fmaxf(scale, 1e-5f) * (variant == 0 ? sign : -sign)), half};
      } else {
        range.scale = storable((positive + negative) * __fdiv_rn(ratio, top));
        range.zeroPoint = bounded(bounded(rintf(__fdiv_rn(negative * ratio, range.scale)), 0, top) + offset, 0, top);
      }
      const float found = roundingError(weight, importance, groupSize, range, top);
      if ((variant == 0 && i == 0) || found < error) {
        best = range;
        error = found;
      }
    }
  }
  bool better = candidates > 1;
  for (int i = 0; i < refinements; ++i) {
    const Range range = fitted(weight, importance, groupSize, best, top);
    const float found = roundingError(weight, importance, groupSize, range, top);
    better = better && found < error;
    if (better) {
      best = range;
      error = found;
    }
  }
  if (live && threadIdx.x == 0) {
    scales[group] = best.scale;
    zeroPoints[group] = best.zeroPoint;
  }
}

// GPTQ's columns [first, end) of a row, one warp to a row; what they lose is made up for by the columns up to `reach`,
// at most 32 * kOwn from `first` on, which the lanes hold.
constexpr int kOwn = 8;

extern "C" __global__ void gptq_columns(float* weights, float* codes, float* errors, const float* factors,
                                        const float* scales, const float* zeroPoints, int rows, int columns, int first,
                                        int end, int reach, float top) {
  const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  float* weight = weights + static_cast<long long>(row) * columns;
  const float scale = scales[row], zeroPoint = zeroPoints[row];
  float own[kOwn];
#pragma unroll
  for (int k = 0; k < kOwn; ++k) {
    const int column = first + k * 32 + lane;
    own[k] = column < reach ? weight[column] : 0.0f;
  }
#pragma unroll
  for (int k = 0; k < kOwn; ++k) {
    for (int l = 0; l < 32; ++l) {
      const int column = first + k * 32 + l;
      if (column >= end) break;
      const float* factor = factors + static_cast<long long>(column) * columns;
      const float x = __shfl_sync(0xffffffffu, own[k], l);
      const float code = bounded(rintf(__fdiv_rn(x, scale)) + zeroPoint, 0, top);
      const float lost = __fdiv_rn(x - (code - zeroPoint) * scale, factor[column]);
      if (lane == l) {
        codes[static_cast<long long>(row) * columns + column] = code;
        errors[static_cast<long long>(row) * columns + column] = lost;
      }
#pragma unroll
      for (int m = k; m < kOwn; ++m) {
        const int other = first + m * 32 + lane;
        if (other > column && other < reach) own[m] -= lost * factor[other];
      }
    }
  }
#pragma unroll
  for (int k = 0; k < kOwn; ++k) {
    const int column = first + k * 32 + lane;
    if (column >= first && column < reach) weight[column] = own[k];
  }
}
