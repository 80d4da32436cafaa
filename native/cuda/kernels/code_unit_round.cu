// w = s (clip(round(W / s + V) + z) - z), straight through. A group of weights belongs to a row of the block of threads.

template <typename W, typename T, int N>
__device__ void codeUnitForward(const W* weight, const float* offset, const float* scales, const float* zeroPoints,
                                T* out, long long groups, int groupSize, float top) {
  const long long group = static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (group >= groups) return;
  const long long at = group * groupSize;
  const float scale = scales[group], zeroPoint = rintf(zeroPoints[group]);
  for (int i = threadIdx.x * N; i < groupSize; i += blockDim.x * N) {
    float w[N], v[N];
    loadPack<N>(weight + at + i, w);
    loadPack<N>(offset + at + i, v);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float code = rintf(__fdiv_rn(w[j], scale) + v[j]) + zeroPoint;
      w[j] = (bounded(code, 0, top) - zeroPoint) * scale;
    }
    storePack<N>(out + at + i, w);
  }
}

template <typename W, typename T, int N>
__device__ void codeUnitBackward(const T* gradient, const W* weight, const float* offset, const float* scales,
                                 const float* zeroPoints, float* dOffset, float* dScale, float* dZeroPoint,
                                 long long groups, int groupSize, float top) {
  const long long group = static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y;
  const bool live = group < groups;
  const long long at = live ? group * groupSize : 0;
  const float scale = live ? scales[group] : 1.0f, zeroPoint = live ? rintf(zeroPoints[group]) : 0.0f;
  float slope = 0, clippedAway = 0;
  for (int i = threadIdx.x * N; live && i < groupSize; i += blockDim.x * N) {
    float g[N], w[N], v[N];
    loadPack<N>(gradient + at + i, g);
    loadPack<N>(weight + at + i, w);
    loadPack<N>(offset + at + i, v);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float units = __fdiv_rn(w[j], scale);
      const float code = rintf(units + v[j]) + zeroPoint;
      const bool inside = code >= 0 && code <= top;
      v[j] = inside ? g[j] * scale : 0.0f;
      clippedAway += inside ? 0.0f : g[j] * scale;
      slope += g[j] * (bounded(code, 0, top) - zeroPoint - (inside ? units : 0.0f));
    }
    storePack<N>(dOffset + at + i, v);
  }
  slope = rowSum(slope);
  clippedAway = rowSum(clippedAway);
  if (live && threadIdx.x == 0) {
    dScale[group] = slope;
    dZeroPoint[group] = -clippedAway;
  }
}

#define VARIANT(W, T, N, suffix)                                                                                       \
  extern "C" __global__ void code_unit_forward_##suffix(const W* weight, const float* offset, const float* scales,     \
                                                        const float* zeroPoints, T* out, long long groups,             \
                                                        int groupSize, float top) {                                    \
    codeUnitForward<W, T, N>(weight, offset, scales, zeroPoints, out, groups, groupSize, top);                         \
  }                                                                                                                    \
  extern "C" __global__ void code_unit_backward_##suffix(const T* gradient, const W* weight, const float* offset,      \
                                                         const float* scales, const float* zeroPoints,                 \
                                                         float* dOffset, float* dScale, float* dZeroPoint,             \
                                                         long long groups, int groupSize, float top) {                 \
    codeUnitBackward<W, T, N>(gradient, weight, offset, scales, zeroPoints, dOffset, dScale, dZeroPoint, groups,       \
                              groupSize, top);                                                                         \
  }

VARIANT(float, float, 1, float_float_1)
VARIANT(float, float, 4, float_float_4)
VARIANT(float, bfloat16, 1, float_bfloat16_1)
VARIANT(float, bfloat16, 4, float_bfloat16_4)
VARIANT(bfloat16, float, 1, bfloat16_float_1)
VARIANT(bfloat16, float, 4, bfloat16_float_4)
VARIANT(bfloat16, bfloat16, 1, bfloat16_bfloat16_1)
VARIANT(bfloat16, bfloat16, 4, bfloat16_bfloat16_4)

// s = storable(s0 exp(a)), and the gradient of a through it.
extern "C" __global__ void learnt_scale_forward(const float* start, const float* logarithm, float* out,
                                                long long size) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < size) out[i] = storable(start[i] * expf(logarithm[i]));
}
extern "C" __global__ void learnt_scale_backward(const float* gradient, const float* start, const float* logarithm,
                                                 float* out, long long size) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < size) out[i] = gradient[i] * (start[i] * expf(logarithm[i]));
}
