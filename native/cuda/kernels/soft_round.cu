// w = s (clip(B + h(V0 + D) + z) - z), B + h(V0) = W / s0. D is the product of A1 [rows, RANK] and A2 [RANK, columns],
// or with RANK 0 a matrix of its own. A warp owns 32 N columns of some rows: A2 and its gradient stay in registers, the
// gradient of A1 is a sum over lanes, and neither V nor D ever lies in memory. Options of the compilation: RANK,
// COLUMNS_PER_LANE, and SPAN, the lanes that share a group's sums: 32 where a group fills the warp.

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

// Sums of each row: RANK of A1's gradient, then those of the scale and the zero point.
constexpr int kSums = RANK + 2 <= 8 ? 8 : 16;
#define SCALE_SUM RANK
#define ZERO_POINT_SUM (RANK + 1)

// Sums that a warp makes together.
constexpr int kTogether = kRows * kSums < 32 ? kRows * kSums : 32;

template <int kHalf>
__device__ __forceinline__ void exchange(float (&values)[kTogether], int lane) {
  const bool upper = (lane & kHalf) != 0;
#pragma unroll
  for (int i = 0; i < kHalf; ++i) {
    const float given = upper ? values[i] : values[i + kHalf];
    const float kept = upper ? values[i + kHalf] : values[i];
    values[i] = kept + __shfl_xor_sync(0xffffffffu, given, kHalf);
  }
}

// Lane l gets the sum over all lanes of `values[l % kTogether]`: for 32 of them 31 exchanges in place of 5 for each.
__device__ __forceinline__ float sumOfOwn(float (&values)[kTogether], int lane) {
  if (kTogether == 32) exchange<kTogether / 2>(values, lane);
  exchange<8>(values, lane);
  exchange<4>(values, lane);
  exchange<2>(values, lane);
  exchange<1>(values, lane);
  return kTogether == 32 ? values[0] : values[0] + __shfl_xor_sync(0xffffffffu, values[0], 16);
}

// dOffset [rows, columns]; or dRight [chunks, RANK, columns], sums still to be made. `sums` [rows, segments, kSums] holds
// A1's gradient and, where a group fills the warp, those of scale and zero point; dScale and dZeroPoint [rows, groups] do
// where SPAN lanes share one.
template <typename W, typename T>
__device__ void softRoundBackward(const T* gradient, const W* weight, const float* starts, const float* offset,
                                  const float* left, const float* scales, const float* zeroPoints,
                                  const float* commitment, float size, float* dOffset, float* sums, float* dScale,
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
  // The commitment pulls with 2 beta penalty |2 h - 1|^(beta - 1), here and below times the slope of h: a power of two.
  const float power = fmaxf(commitment[1] - 1, 1e-6f);
  const float strength = __log2f(2 * (kZeta - kGamma) * commitment[1] * (commitment[0] / size));
  const int groups = shape.columns / shape.groupSize;
  const int column = place.inside ? place.column : 0, own = column / shape.groupSize;
  for (int first = place.firstRow; first < place.lastRow; first += kRows) {
    float g[kRows][N], w[kRows][N], scale[kRows], start[kRows], inverse[kRows], least[kRows];
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      const int row = min(first + k, shape.rows - 1), group = row * groups + own;
      const long long at = static_cast<long long>(row) * shape.columns + column;
      loadPack<N>(gradient + at, g[k]);
      loadPack<N>(weight + at, w[k]);
      scale[k] = scales[group];
      start[k] = starts[group];
      inverse[k] = reciprocal(start[k]);
      least[k] = -rintf(zeroPoints[group]);
    }
    float values[kRows * kSums];
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      const bool live = place.inside && first + k < place.lastRow;
      const int row = min(first + k, shape.rows - 1);
      const float most = least[k] + shape.top;
      const float steep = live ? scale[k] * (kZeta - kGamma) : 0.0f;
      const float pulls = live ? strength : -INFINITY;
      float slope = 0, clippedAway = 0;
      float exponents[N], towards[N];
      exponentsOf(left, offset, right, shape, row, column, exponents);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const float above = g[k][j];
        const Soft soft = softly(w[k][j], start[k], inverse[k], exponents[j]);
        const float code = soft.floor + soft.h;
        const float kept = bounded(code, least[k], most);
        slope += above * kept;
        float through = above * steep;
        if (kept != code) {
          clippedAway += above;
          through = 0;
        }
        through -= copysignf(powerOfTwo(fmaf(__log2f(fabsf(soft.lean)), power, pulls)), soft.lean);
        const bool free = fabsf(soft.lean) <= 1;
        towards[j] = free ? through * fmaf(-soft.sigmoid, soft.sigmoid, soft.sigmoid) : 0.0f;
      }
      slope = live ? slope : 0.0f;
      clippedAway = live ? clippedAway * scale[k] : 0.0f;
#if RANK == 0
      if (live) storePack<N>(dOffset + static_cast<long long>(row) * shape.columns + column, towards);
#else
#pragma unroll
      for (int r = 0; r < RANK; ++r) {
        const float factor = left[row * RANK + r];
        float dot = 0;
#pragma unroll
        for (int j = 0; j < N; ++j) {
          dot += towards[j] * right[r][j];
          dRight[r][j] += factor * towards[j];
        }
        values[k * kSums + r] = dot;
      }
#endif
#if SPAN == 32
      values[k * kSums + SCALE_SUM] = slope;
      values[k * kSums + ZERO_POINT_SUM] = -clippedAway;
#else
      slope = laneSum(slope, SPAN);
      clippedAway = laneSum(clippedAway, SPAN);
      if (live && lane % SPAN == 0) {
        dScale[row * groups + own] = slope;
        dZeroPoint[row * groups + own] = -clippedAway;
      }
#endif
#pragma unroll
      for (int i = SPAN == 32 ? RANK + 2 : RANK; i < kSums; ++i) values[k * kSums + i] = 0;
    }
#if RANK > 0 || SPAN == 32
#pragma unroll
    for (int part = 0; part < kRows * kSums / kTogether; ++part) {
      float some[kTogether];
#pragma unroll
      for (int i = 0; i < kTogether; ++i) some[i] = values[part * kTogether + i];
      const float unit = lane % kSums < RANK ? kPerExponent : 1.0f;
      const float sum = sumOfOwn(some, lane) * unit;
      const int row = first + (part * kTogether + lane % kTogether) / kSums;
      if (row < place.lastRow && lane < kTogether) {
        sums[(static_cast<long long>(row) * place.segments + place.segment) * kSums + lane % kSums] = sum;
      }
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
  extern "C" __global__ void __launch_bounds__(128, kBlocks)                                                           \
      soft_round_backward_##suffix(const T* gradient, const W* weight, const float* starts, const float* offset,       \
                                   const float* left, const float* scales, const float* zeroPoints,                    \
                                   const float* commitment, float size, float* dOffset, float* sums, float* dScale,    \
                                   float* dZeroPoint, Shape shape) {                                                   \
    softRoundBackward<W, T>(gradient, weight, starts, offset, left, scales, zeroPoints, commitment, size, dOffset,     \
                            sums, dScale, dZeroPoint, shape);                                                          \
  }

VARIANT(float, float, float_float)
VARIANT(float, bfloat16, float_bfloat16)
VARIANT(bfloat16, float, bfloat16_float)
VARIANT(bfloat16, bfloat16, bfloat16_bfloat16)

// The sums that the warps left: a column of the block of threads owns one result, its rows share the terms. dRight
// [RANK, columns] over chunks first, then the rows' sums over the segments of a group: dLeft [rows, RANK], and with SPAN
// 32 dScale and dZeroPoint [rows, groups].
constexpr int kSharers = 8;

__device__ __forceinline__ float sharedSum(const float* from, int count, long long stride) {
  __shared__ float parts[kSharers][32];
  float sum = 0;
#pragma unroll 4
  for (int i = threadIdx.y; i < count; i += kSharers) sum += from[i * stride];
  __syncthreads();
  parts[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  sum = 0;
#pragma unroll
  for (int i = 0; i < kSharers; ++i) sum += parts[i][threadIdx.x];
  return sum;
}

extern "C" __global__ void soft_round_sums(const float* chunkSums, const float* rowSums, float* dRight, float* dLeft,
                                           float* dScale, float* dZeroPoint, Shape shape, int chunks, int segments,
                                           int groups) {
  const int result = blockIdx.x * 32 + threadIdx.x;
  const int factors = RANK * shape.columns, lefts = RANK * shape.rows;
  const int each = segments / groups;
  const int asLeft = result - factors, asScale = asLeft - lefts;
  const bool isRight = asLeft < 0, isLeft = !isRight && asScale < 0;
  const bool isScale = SPAN == 32 && asScale >= 0 && asScale < shape.rows * groups;
  const float* from = chunkSums;
  int count = 0;
  long long stride = kSums;
  if (isRight) {
    from = chunkSums + result;
    count = chunks;
    stride = factors;
  } else if (isLeft) {
    from = rowSums + static_cast<long long>(asLeft / max(RANK, 1)) * segments * kSums + asLeft % max(RANK, 1);
    count = segments;
  } else if (isScale) {
    from = rowSums + static_cast<long long>(asScale) * each * kSums + SCALE_SUM;
    count = each;
  }
  const float sum = sharedSum(from, count, stride);
  const float away = SPAN == 32 ? sharedSum(from + ZERO_POINT_SUM - SCALE_SUM, isScale ? count : 0, stride) : 0;
  if (threadIdx.y > 0) return;
  if (isRight) dRight[result] = sum;
  if (isLeft) dLeft[asLeft] = sum;
  if (isScale) {
    dScale[asScale] = sum;
    dZeroPoint[asScale] = away;
  }
}
