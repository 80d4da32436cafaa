// The passes of a decoder block between its products. A row of numbers belongs to a row of the block of threads.

__device__ __forceinline__ long long ownRow() { return static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y; }

template <typename T, int N>
__device__ void rmsNormForward(const T* x, const T* weight, T* out, float* inverse, int rows, int width, float eps) {
  const long long row = ownRow();
  if (row >= rows) return;
  x += row * width;
  out += row * width;
  float squares = 0;
  for (int i = threadIdx.x * N; i < width; i += blockDim.x * N) {
    float value[N];
    loadPack<N>(x + i, value);
#pragma unroll
    for (int j = 0; j < N; ++j) squares += value[j] * value[j];
  }
  const float factor = rsqrtf(rowSum(squares) / width + eps);
  if (threadIdx.x == 0) inverse[row] = factor;
  for (int i = threadIdx.x * N; i < width; i += blockDim.x * N) {
    float value[N], gain[N];
    loadPack<N>(x + i, value);
    loadPack<N>(weight + i, gain);
#pragma unroll
    for (int j = 0; j < N; ++j) value[j] = asFloat(as<T>(value[j] * factor)) * gain[j];
    storePack<N>(out + i, value);
  }
}

template <typename T, int N>
__device__ void rmsNormBackward(const T* gradient, const T* x, const T* weight, const float* inverse, T* dx,
                                int rows, int width) {
  const long long row = ownRow();
  if (row >= rows) return;
  gradient += row * width;
  x += row * width;
  dx += row * width;
  float along = 0;
  for (int i = threadIdx.x * N; i < width; i += blockDim.x * N) {
    float g[N], value[N], gain[N];
    loadPack<N>(gradient + i, g);
    loadPack<N>(x + i, value);
    loadPack<N>(weight + i, gain);
#pragma unroll
    for (int j = 0; j < N; ++j) along += g[j] * gain[j] * value[j];
  }
  const float factor = inverse[row];
  const float back = rowSum(along) * factor * factor * factor / width;
  for (int i = threadIdx.x * N; i < width; i += blockDim.x * N) {
    float g[N], value[N], gain[N];
    loadPack<N>(gradient + i, g);
    loadPack<N>(x + i, value);
    loadPack<N>(weight + i, gain);
#pragma unroll
    for (int j = 0; j < N; ++j) value[j] = g[j] * gain[j] * factor - value[j] * back;
    storePack<N>(dx + i, value);
  }
}

__device__ __forceinline__ float sigmoidOf(float x) { return __fdividef(1.0f, 1.0f + __expf(-x)); }

template <typename T, int N>
__device__ void siluProductForward(const T* gate, const T* up, T* out, long long size) {
  for (long long i = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * N; i < size;
       i += static_cast<long long>(gridDim.x) * blockDim.x * N) {
    float g[N], u[N];
    loadPack<N>(gate + i, g);
    loadPack<N>(up + i, u);
#pragma unroll
    for (int j = 0; j < N; ++j) u[j] *= g[j] * sigmoidOf(g[j]);
    storePack<N>(out + i, u);
  }
}

template <typename T, int N>
__device__ void siluProductBackward(const T* gradient, const T* gate, const T* up, T* dGate, T* dUp, long long size) {
  for (long long i = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * N; i < size;
       i += static_cast<long long>(gridDim.x) * blockDim.x * N) {
    float d[N], g[N], u[N];
    loadPack<N>(gradient + i, d);
    loadPack<N>(gate + i, g);
    loadPack<N>(up + i, u);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float share = sigmoidOf(g[j]);
      u[j] *= d[j] * share * (1 + g[j] * (1 - share));
      g[j] *= d[j] * share;
    }
    storePack<N>(dGate + i, u);
    storePack<N>(dUp + i, g);
  }
}

// Pairs (i, i + half) of each head turned by the angle of its position, N neighbouring pairs at once; the result is dense
// [batch, heads, time, dim].
template <typename T, int N>
__device__ void rotary(const T* x, const T* cos, const T* sin, T* out, int heads, int time, int half,
                       long long batchStride, long long headStride, long long timeStride, float sign,
                       long long pairs) {
  for (long long i = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * N; i < pairs;
       i += static_cast<long long>(gridDim.x) * blockDim.x * N) {
    const int pair = i % half;
    const long long row = i / half;
    const int position = row % time;
    const long long line = row / time;
    const T* from = x + line / heads * batchStride + line % heads * headStride + position * timeStride + pair;
    float a[N], b[N], along[N], turn[N];
    loadPack<N>(from, a);
    loadPack<N>(from + half, b);
    loadPack<N>(cos + position * half + pair, along);
    loadPack<N>(sin + position * half + pair, turn);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float first = a[j] * along[j] - b[j] * sign * turn[j];
      b[j] = b[j] * along[j] + a[j] * sign * turn[j];
      a[j] = first;
    }
    T* to = out + row * 2 * half + pair;
    storePack<N>(to, a);
    storePack<N>(to + half, b);
  }
}

// Squared error of each token over its target's squared magnitude.
template <typename T, int N>
__device__ void tokenErrorForward(const T* target, const T* actual, float* error, float* inverse, int rows, int width) {
  const long long row = ownRow();
  if (row >= rows) return;
  target += row * width;
  actual += row * width;
  float squares = 0, magnitude = 0;
  for (int i = threadIdx.x * N; i < width; i += blockDim.x * N) {
    float y[N], x[N];
    loadPack<N>(target + i, y);
    loadPack<N>(actual + i, x);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      squares += (x[j] - y[j]) * (x[j] - y[j]);
      magnitude += y[j] * y[j];
    }
  }
  squares = rowSum(squares);
  const float factor = 1 / fmaxf(rowSum(magnitude), 1e-12f * width);
  if (threadIdx.x == 0) {
    inverse[row] = factor;
    error[row] = squares * factor;
  }
}

template <typename T, int N>
__device__ void tokenErrorBackward(const float* gradient, const T* target, const T* actual, const float* inverse,
                                   T* dActual, int rows, int width) {
  const long long row = ownRow();
  if (row >= rows) return;
  const float factor = 2 * gradient[0] / rows * inverse[row];
  for (int i = threadIdx.x * N; i < width; i += blockDim.x * N) {
    float y[N], x[N];
    loadPack<N>(target + row * width + i, y);
    loadPack<N>(actual + row * width + i, x);
#pragma unroll
    for (int j = 0; j < N; ++j) x[j] = (x[j] - y[j]) * factor;
    storePack<N>(dActual + row * width + i, x);
  }
}

template <typename T, int N>
__device__ __forceinline__ float largestOf(const T* x, int width) {
  float most = 1e-8f;
  for (int i = threadIdx.x * N; i < width; i += blockDim.x * N) {
    float value[N];
    loadPack<N>(x + i, value);
#pragma unroll
    for (int j = 0; j < N; ++j) most = fmaxf(most, fabsf(value[j]));
  }
  return rowMost(most);
}

// Fake quantization of a token: step = max|x| clip / top.
template <typename T, int N>
__device__ void tokenRoundForward(const T* x, const float* clip, T* out, int rows, int width, float top) {
  const long long row = ownRow();
  if (row >= rows) return;
  x += row * width;
  out += row * width;
  const float step = largestOf<T, N>(x, width) * __fdiv_rn(clip[0], top);
  for (int i = threadIdx.x * N; i < width; i += blockDim.x * N) {
    float value[N];
    loadPack<N>(x + i, value);
#pragma unroll
    for (int j = 0; j < N; ++j) value[j] = bounded(rintf(__fdiv_rn(value[j], step)), -top - 1, top) * step;
    storePack<N>(out + i, value);
  }
}

template <typename T, int N>
__device__ void tokenRoundBackward(const T* gradient, const T* x, const float* clip, T* dx, float* dClip, int rows, int width,
                                   float top) {
  const long long row = ownRow();
  if (row >= rows) return;
  gradient += row * width;
  x += row * width;
  dx += row * width;
  const float range = largestOf<T, N>(x, width);
  const float step = range * __fdiv_rn(clip[0], top);
  float slope = 0;
  for (int i = threadIdx.x * N; i < width; i += blockDim.x * N) {
    float g[N], value[N];
    loadPack<N>(gradient + i, g);
    loadPack<N>(x + i, value);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float units = __fdiv_rn(value[j], step);
      const float code = rintf(units);
      const bool inside = code >= -top - 1 && code <= top;
      slope += g[j] * (bounded(code, -top - 1, top) - (inside ? units : 0.0f));
      value[j] = inside ? g[j] : 0.0f;
    }
    storePack<N>(dx + i, value);
  }
  slope = rowSum(slope);
  if (threadIdx.x == 0) dClip[row] = slope * (range / top);
}

#define VARIANT(T, N, suffix)                                                                                          \
  extern "C" __global__ void rms_norm_forward_##suffix(const T* x, const T* weight, T* out, float* inverse,            \
                                                       int rows, int width, float eps) {                                         \
    rmsNormForward<T, N>(x, weight, out, inverse, rows, width, eps);                                                         \
  }                                                                                                                    \
  extern "C" __global__ void rms_norm_backward_##suffix(const T* gradient, const T* x, const T* weight,                \
                                                        const float* inverse, T* dx, int rows, int width) {            \
    rmsNormBackward<T, N>(gradient, x, weight, inverse, dx, rows, width);                                                    \
  }                                                                                                                    \
  extern "C" __global__ void silu_product_forward_##suffix(const T* gate, const T* up, T* out, long long size) {       \
    siluProductForward<T, N>(gate, up, out, size);                                                                     \
  }                                                                                                                    \
  extern "C" __global__ void silu_product_backward_##suffix(const T* gradient, const T* gate, const T* up, T* dGate,   \
                                                            T* dUp, long long size) {                                  \
    siluProductBackward<T, N>(gradient, gate, up, dGate, dUp, size);                                                   \
  }                                                                                                                    \
  extern "C" __global__ void token_error_forward_##suffix(const T* target, const T* actual, float* error,              \
                                                          float* inverse, int rows, int width) {                       \
    tokenErrorForward<T, N>(target, actual, error, inverse, rows, width);                                                    \
  }                                                                                                                    \
  extern "C" __global__ void token_error_backward_##suffix(const float* gradient, const T* target, const T* actual,    \
                                                           const float* inverse, T* dActual, int rows, int width) {    \
    tokenErrorBackward<T, N>(gradient, target, actual, inverse, dActual, rows, width);                                       \
  }                                                                                                                    \
  extern "C" __global__ void token_round_forward_##suffix(const T* x, const float* clip, T* out, int rows, int width,  \
                                                          float top) {                                                 \
    tokenRoundForward<T, N>(x, clip, out, rows, width, top);                                                                 \
  }                                                                                                                    \
  extern "C" __global__ void token_round_backward_##suffix(const T* gradient, const T* x, const float* clip, T* dx,    \
                                                           float* dClip, int rows, int width, float top) {             \
    tokenRoundBackward<T, N>(gradient, x, clip, dx, dClip, rows, width, top);                                          \
  }                                                                                                                    \
  extern "C" __global__ void rotary_##suffix(const T* x, const T* cos, const T* sin, T* out, int heads, int time,      \
                                             int half, long long batchStride, long long headStride,                    \
                                             long long timeStride, float sign, long long pairs) {                      \
    rotary<T, N>(x, cos, sin, out, heads, time, half, batchStride, headStride, timeStride, sign, pairs);               \
  }

VARIANT(float, 1, float_1)
VARIANT(float, 4, float_4)
VARIANT(bfloat16, 1, bfloat16_1)
VARIANT(bfloat16, 8, bfloat16_8)
