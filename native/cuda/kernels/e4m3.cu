// Matrices in fp8 (e4m3), by rows and by columns, for the products of a backward pass.

// The largest magnitude of all; `most` is zero before, and magnitudes compare like their bits.
extern "C" __global__ void magnitude(const bfloat16* x, float* most, long long size) {
  float largest = 0;
  for (long long i = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * 8; i < size;
       i += static_cast<long long>(gridDim.x) * blockDim.x * 8) {
    float value[8];
    loadPack<8>(x + i, value);
#pragma unroll
    for (int j = 0; j < 8; ++j) largest = fmaxf(largest, fabsf(value[j]));
  }
  largest = rowMost(largest);
  if (threadIdx.x == 0) atomicMax(reinterpret_cast<unsigned*>(most), __float_as_uint(largest));
}

// Two values as e4m3, bounded to its range; the first in the lower byte. NaN stays NaN.
__device__ __forceinline__ unsigned pairOf(float low, float high) {
  unsigned short pair;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
  return pair;
}

constexpr float kLargest = 448;
// Of a tile: its rows become columns of 128 bytes.
constexpr int kRows = 128, kColumns = 64;

// `x [rows, columns]` times 448 / `most`, in e4m3: `columnwise [columns, rows]`, and `rowwise [rows, columns]` unless null.
// A thread takes 4 rows of 8 columns, so that what it puts into the turned tile are whole words. Both sizes are multiples
// of 16.
extern "C" __global__ void cast_e4m3(const bfloat16* x, const float* most, unsigned char* rowwise,
                                     unsigned char* columnwise, float* inverse, int rows, int columns) {
  __shared__ unsigned turned[kColumns][kRows / 4 + 1];
  const float largest = *most;
  const float scale = largest > 0 ? kLargest / largest : 1.0f;
  if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0) *inverse = largest > 0 ? largest / kLargest : 1.0f;
  const int pack = threadIdx.x % 8, quad = threadIdx.x / 8;
  const long long row = static_cast<long long>(blockIdx.y) * kRows + quad * 4;
  const int column = blockIdx.x * kColumns + pack * 8;
  if (row < rows && column < columns) {
    float value[4][8];
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      loadPack<8>(x + (row + r) * columns + column, value[r]);
#pragma unroll
      for (int j = 0; j < 8; ++j) value[r][j] *= scale;
    }
    if (rowwise != nullptr) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        uint2 bytes;
        bytes.x = pairOf(value[r][0], value[r][1]) | pairOf(value[r][2], value[r][3]) << 16;
        bytes.y = pairOf(value[r][4], value[r][5]) | pairOf(value[r][6], value[r][7]) << 16;
        *reinterpret_cast<uint2*>(rowwise + (row + r) * columns + column) = bytes;
      }
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      turned[pack * 8 + j][quad] = pairOf(value[0][j], value[1][j]) | pairOf(value[2][j], value[3][j]) << 16;
    }
  }
  __syncthreads();
  const int lane = threadIdx.x % 32;
  const long long word = static_cast<long long>(blockIdx.y) * kRows + lane * 4;
  if (word >= rows) return;
  for (int c = threadIdx.x / 32; c < kColumns; c += 8) {
    const long long out = static_cast<long long>(blockIdx.x) * kColumns + c;
    if (out < columns) *reinterpret_cast<unsigned*>(columnwise + out * rows + word) = turned[c][lane];
  }
}
