// What every kernel uses. NVRTC has no headers of the toolkit here, so the 16-bit types are our own.
struct bfloat16 {
  unsigned short bits;
};

__device__ __forceinline__ float asFloat(float x) { return x; }
__device__ __forceinline__ float asFloat(bfloat16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

template <typename T>
__device__ __forceinline__ T as(float x);
template <>
__device__ __forceinline__ float as<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ bfloat16 as<bfloat16>(float x) {
#if __CUDA_ARCH__ >= 800
  bfloat16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
  return result;
#else
  const unsigned bits = __float_as_uint(x);
  if (x != x) return {static_cast<unsigned short>((bits >> 16) | 0x40)};
  return {static_cast<unsigned short>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
#endif
}

// Rounded to fp16 and back.
__device__ __forceinline__ float halfPrecision(float x) {
  unsigned short half;
  float result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(half));
  return result;
}

__device__ __forceinline__ float bounded(float x, float least, float most) { return fminf(fmaxf(x, least), most); }

// A scale as every export stores it: exact in fp16, magnitude at least 1e-5, sign kept.
__device__ __forceinline__ float storable(float scale) {
  return copysignf(halfPrecision(bounded(fabsf(scale), 1e-5f, 65504.0f)), scale);
}

// Neighbours that are read or written at once.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T at[N];
};

template <int N, typename T>
__device__ __forceinline__ void loadPack(const T* from, float (&to)[N]) {
  const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(from);
#pragma unroll
  for (int i = 0; i < N; ++i) to[i] = asFloat(pack.at[i]);
}

template <int N, typename T>
__device__ __forceinline__ void storePack(T* to, const float (&from)[N]) {
  Pack<T, N> pack;
#pragma unroll
  for (int i = 0; i < N; ++i) pack.at[i] = as<T>(from[i]);
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// Over `width` neighbouring lanes, a power of two up to 32.
__device__ __forceinline__ float laneSum(float x, int width) {
  for (int step = width / 2; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}

__device__ __forceinline__ float laneMost(float x, int width) {
  for (int step = width / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}

// Over the threads of a row of the block, blockDim.x of them: a power of two below 32, or whole warps and then the only
// row. Every thread gets the result, and the order of the sum is always the same.
template <bool kMost>
__device__ float rowReduce(float x) {
  __shared__ float perWarp[32];
  const int width = blockDim.x < 32 ? blockDim.x : 32;
  x = kMost ? laneMost(x, width) : laneSum(x, width);
  if (blockDim.x <= 32) return x;
  const int warps = blockDim.x / 32, lane = threadIdx.x % 32;
  __syncthreads();
  if (lane == 0) perWarp[threadIdx.x / 32] = x;
  __syncthreads();
  x = lane < warps ? perWarp[lane] : 0.0f;
  return kMost ? laneMost(x, 32) : laneSum(x, 32);
}

__device__ __forceinline__ float rowSum(float x) { return rowReduce<false>(x); }
// Of magnitudes.
__device__ __forceinline__ float rowMost(float x) { return rowReduce<true>(x); }
