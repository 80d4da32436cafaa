// w = s (clip(B + h(V0 + D) + z) - z), B + h(V0) = W / s0. D is the product of A1 [rows, RANK] and A2 [RANK, columns],
// or with RANK 0 a matrix of its own. A warp owns 32 N columns of some rows: A2 and its gradient stay in registers, the
// gradient of A1 is a sum over lanes, and neither V nor D ever lies in memory. RANK and COLUMNS_PER_LANE are options of the
// compilation.

constexpr float kZeta = 1.1f;
constexpr float kGamma = -0.1f;
constexpr int N = COLUMNS_PER_LANE;
constexpr int kColumns = 32 * N;
constexpr int kFactors = RANK == 0 ? 1 : RANK;

struct Shape {
  int rows, columns, groupSize;
  int rowsPerWarp;
  int span;  // lanes that share a group's sums
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

// D of one row.
__device__ __forceinline__ void offsetOf(const float* left, const float* offset, const float (&right)[kFactors][N],
                                         const Shape& shape, int row, int column, float (&to)[N]) {
#if RANK == 0
  loadPack<N>(offset + static_cast<long long>(row) * shape.columns + column, to);
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

__device__ __forceinline__ void loadRight(const float* offset, const Shape& shape, const Place& place,
                                          float (&right)[kFactors][N]) {
#if RANK > 0
#pragma unroll
  for (int r = 0; r < RANK; ++r) {
#pragma unroll
    for (int j = 0; j < N; ++j) right[r][j] = 0;
    if (place.inside) loadPack<N>(offset + static_cast<long long>(r) * shape.columns + place.column, right[r]);
  }
#endif
}

struct Soft {
  float floor, sigmoid, stretched, h;
};

// With p = sigmoid(V0), sigmoid(V0 + D) = p / (p + (1 - p) e^-D), so V0 is never computed.
__device__ __forceinline__ Soft softly(float weight, float start, float offset) {
  const float units = __fdiv_rn(weight, start);
  Soft soft;
  soft.floor = floorf(units);
  const float p = (units - soft.floor - kGamma) * (1 / (kZeta - kGamma));
  soft.sigmoid = __fdividef(p, p + (1 - p) * __expf(-offset));
  soft.stretched = soft.sigmoid * (kZeta - kGamma) + kGamma;
  soft.h = bounded(soft.stretched, 0, 1);
  return soft;
}

template <typename W, typename T>
__device__ void softRoundForward(const W* weight, const float* starts, const float* offset, const float* left,
                                 const float* scales, const float* zeroPoints, T* out, Shape shape) {
  const Place place = placeOf(shape);
  if (!place.inside) return;
  float right[kFactors][N];
  loadRight(offset, shape, place, right);
  const int groups = shape.columns / shape.groupSize, own = place.column / shape.groupSize;
  for (int row = place.firstRow; row < place.lastRow; ++row) {
    const int group = row * groups + own;
    const long long at = static_cast<long long>(row) * shape.columns + place.column;
    const float scale = scales[group], start = starts[group], zeroPoint = rintf(zeroPoints[group]);
    float w[N], d[N];
    loadPack<N>(weight + at, w);
    offsetOf(left, offset, right, shape, row, place.column, d);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const Soft soft = softly(w[j], start, d[j]);
      w[j] = (bounded(soft.floor + soft.h + zeroPoint, 0, shape.top) - zeroPoint) * scale;
    }
    storePack<N>(out + at, w);
  }
}

// dOffset [rows, columns]; or dLeft [rows, segments, RANK] and dRight [chunks, RANK, columns], sums still to be made.
// dScale and dZeroPoint [rows, sums], as many to a group as it has spans.
template <typename W, typename T>
__device__ void softRoundBackward(const T* gradient, const W* weight, const float* starts, const float* offset,
                                  const float* left, const float* scales, const float* zeroPoints,
                                  const float* commitment, float size, float* dOffset, float* dLeft, float* dScale,
                                  float* dZeroPoint, Shape shape) {
  const Place place = placeOf(shape);
  const int lane = threadIdx.x % 32;
  if (place.firstRow >= shape.rows) return;
  float right[kFactors][N];
  loadRight(offset, shape, place, right);
#if RANK > 0
  float dRight[kFactors][N];
#pragma unroll
  for (int r = 0; r < RANK; ++r) {
#pragma unroll
    for (int j = 0; j < N; ++j) dRight[r][j] = 0;
  }
#endif
  const float penalty = commitment[0] / size, beta = commitment[1];
  const int groups = shape.columns / shape.groupSize, own = place.inside ? place.column / shape.groupSize : 0;
  const int sums = (shape.columns + shape.span * N - 1) / (shape.span * N);
  for (int row = place.firstRow; row < place.lastRow; ++row) {
    const int group = row * groups + own;
    const long long at = static_cast<long long>(row) * shape.columns + place.column;
    const float scale = scales[group], start = starts[group], zeroPoint = rintf(zeroPoints[group]);
    float slope = 0, clippedAway = 0;
    float towards[N];
#pragma unroll
    for (int j = 0; j < N; ++j) towards[j] = 0;
    if (place.inside) {
      float g[N], w[N], d[N];
      loadPack<N>(gradient + at, g);
      loadPack<N>(weight + at, w);
      offsetOf(left, offset, right, shape, row, place.column, d);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const Soft soft = softly(w[j], start, d[j]);
        const float code = soft.floor + soft.h + zeroPoint;
        const bool within = code >= 0 && code <= shape.top;
        const float free = soft.stretched >= 0 && soft.stretched <= 1;
        float through = within ? g[j] * scale : 0.0f;
        if (penalty != 0) {
          const float away = fabsf(2 * soft.h - 1);
          const float pull = away < 1e-30f ? 0.0f : 2 * beta * penalty * __powf(away, beta - 1);
          through += soft.h > 0.5f ? -pull : pull;
        }
        clippedAway += within ? 0.0f : g[j] * scale;
        slope += g[j] * (bounded(code, 0, shape.top) - zeroPoint);
        towards[j] = through * free * (kZeta - kGamma) * soft.sigmoid * (1 - soft.sigmoid);
      }
#if RANK == 0
      storePack<N>(dOffset + at, towards);
#endif
    }
    slope = laneSum(slope, shape.span);
    clippedAway = laneSum(clippedAway, shape.span);
    if (place.inside && lane % shape.span == 0) {
      const int to = row * sums + place.column / (shape.span * N);
      dScale[to] = slope;
      dZeroPoint[to] = -clippedAway;
    }
#if RANK > 0
#pragma unroll
    for (int r = 0; r < RANK; ++r) {
      const float factor = left[row * RANK + r];
      float dot = 0;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        dot += towards[j] * right[r][j];
        dRight[r][j] += factor * towards[j];
      }
      dot = laneSum(dot, 32);
      if (lane == r) dLeft[(static_cast<long long>(row) * place.segments + place.segment) * RANK + r] = dot;
    }
#endif
  }
#if RANK > 0
  if (!place.inside) return;
#pragma unroll
  for (int r = 0; r < RANK; ++r) {
    storePack<N>(dOffset + (static_cast<long long>(place.chunk) * RANK + r) * shape.columns + place.column, dRight[r]);
  }
#endif
}

#define VARIANT(W, T, suffix)                                                                                          \
  extern "C" __global__ void __launch_bounds__(128)                                                                    \
      soft_round_forward_##suffix(const W* weight, const float* starts, const float* offset, const float* left,        \
                                  const float* scales, const float* zeroPoints, T* out, Shape shape) {                 \
    softRoundForward<W, T>(weight, starts, offset, left, scales, zeroPoints, out, shape);                              \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(128)                                                                    \
      soft_round_backward_##suffix(const T* gradient, const W* weight, const float* starts, const float* offset,       \
                                   const float* left, const float* scales, const float* zeroPoints,                    \
                                   const float* commitment, float size, float* dOffset, float* dLeft, float* dScale,   \
                                   float* dZeroPoint, Shape shape) {                                                   \
    softRoundBackward<W, T>(gradient, weight, starts, offset, left, scales, zeroPoints, commitment, size, dOffset,     \
                            dLeft, dScale, dZeroPoint, shape);                                                         \
  }

VARIANT(float, float, float_float)
VARIANT(float, bfloat16, float_bfloat16)
VARIANT(bfloat16, float, bfloat16_float)
VARIANT(bfloat16, bfloat16, bfloat16_bfloat16)
