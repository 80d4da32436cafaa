// The numeric kernels of our own, one table of them per instruction set. They know pointers only, no libtorch, so each
// instruction set costs a second to compile; operators/ gives them tensors and threads.
#pragma once

#include <cstdint>

namespace crossblock {

// A bf16 number as it lies in memory: the upper half of an fp32 one. Kernels read and write it or fp32, `T` below, and
// compute in fp32 either way.
struct BFloat16 {
  uint16_t bits;
};

// Where the heads of `[batch, heads, time, headDim]` lie: elements between neighbours; a head's own numbers are dense.
struct HeadLayout {
  int64_t batch;
  int64_t head;
  int64_t time;
};

// Causal softmax attention; heads that share keys and values lie side by side.
struct AttentionShape {
  int64_t heads;
  int64_t kvHeads;
  int64_t time;
  int64_t seen;      // keys; the last query sees the last of them
  int64_t headDim;   // a multiple of kHeadDimUnit
  int64_t window;    // keys that a query sees, its own included
  float scale;
};

constexpr int64_t kHeadDimUnit = 16;
constexpr int64_t kQueryTile = 48;
constexpr int64_t kKeyTile = 128;

template <typename T>
struct AttentionForward {
  AttentionShape shape;
  const T *q, *k, *v;
  HeadLayout qLayout, kLayout, vLayout;
  const T* keysAcross;  // [batch, kvHeads, headDim, padded seen]
  T* out;
  HeadLayout outLayout;
  float* logSum;  // [batch, heads, time]: the logarithm of each softmax's sum
};

template <typename T>
struct AttentionBackward {
  AttentionShape shape;
  const T *q, *k, *v, *gradient;
  HeadLayout qLayout, kLayout, vLayout, gradientLayout;
  const T *keysAcross, *valuesAcross;
  const float* logSum;
  const float* weighted;   // [batch, heads, time]: sum of gradient times output
  float* dq;               // dense [batch, heads, time, headDim], zero at the start: pieces are added
  T *dk, *dv;              // dense
};

// Rows of `[rows, width]`, dense.
template <typename T>
struct RmsNorm {
  int64_t width;
  float eps;
  const T *x, *weight;
  T* out;
  float* inverse;  // [rows]: 1 / root mean square
  const T* gradient;
  T* dx;
};

// `silu(gate) * up`, element by element.
template <typename T>
struct SiluProduct {
  const T *gate, *up;
  T* out;
  const T* gradient;
  T *dGate, *dUp;
};

// Pairs (i, i + headDim / 2) of each head turned by the angle of its position; `sign` -1 turns them back.
template <typename T>
struct Rotary {
  int64_t heads, time, headDim;
  float sign;
  const T* x;
  HeadLayout layout;
  const T *cos, *sin;  // [time, headDim / 2]
  T* out;              // dense [batch, heads, time, headDim]
};

// Squared error of each token over its target's squared magnitude.
template <typename T>
struct TokenError {
  int64_t width;
  const T *target, *actual;
  float *error, *inverse;  // [rows]: the quotient, and 1 / squared magnitude
  float factor;            // of the gradient: 2 / rows times what came from above
  T* gradient;
};

// Fake quantization of the inputs of a Linear, a range per token: step = max|x| clip / top.
template <typename T>
struct TokenRound {
  int64_t width;
  float clip, top;
  const T* x;
  T* out;
  const T* gradient;
  T* dx;
  float* dClip;  // [rows]
};

// What fake quantization of a weight `[rows, groups, groupSize]` shares; scale and zero point per group. The weight is
// fp32, the result and its gradient are what the products take.
template <typename T>
struct WeightGrid {
  int64_t groups, groupSize;
  float top;  // the highest code
  const float *weight, *scale, *zeroPoint;
  T* out;
  const T* gradient;
  float *dScale, *dZeroPoint;  // [rows, groups]; dZeroPoint null when zero points are fixed
};

// `w = s (clip(round(W / s + V) + z) - z)`, straight through.
template <typename T>
struct CodeUnitRound {
  WeightGrid<T> grid;
  const float* offset;  // V
  float* dOffset;
};

// `w = s (clip(B + h(V0 + D) + z) - z)`, `B + h(V0) = W / s0`; D in full, or the product of A1 and A2.
template <typename T>
struct SoftRound {
  WeightGrid<T> grid;
  const float* startScale;  // s0 [rows, groups]
  int64_t rank;             // 0: `offset` is the whole matrix
  const float* offset;      // D [rows, columns], or A2 [rank, columns]
  const float* left;        // A1 [rows, rank]
  float penalty, beta;      // gradient of penalty times sum(1 - |2h - 1|^beta); 0 for none
  float* dOffset;           // of D; of A2 for the rows of one call, added
  float* dLeft;             // of A1
};

// The grid of each group `[rows, groups]` whose round-to-nearest error is least: ranges shrunk from 1 to `smallest` in
// `candidates` steps, both signs of a symmetric scale, then the scale fitted to its codes.
struct RangeSearch {
  int64_t groups, groupSize, candidates;
  int64_t neighbours;  // zero points tried on each side of the one that follows from the range
  int64_t refinements;
  float smallest, top;
  bool symmetric;
  const float* weight;
  const float* importance;  // of each column [groups * groupSize]; null for equal ones
  float *scale, *zeroPoint;
};

// GPTQ's columns [first, end) of `weight [rows, columns]`: each is rounded, and what that lost is made up for by the
// columns that follow, up to `reach`.
struct GptqColumns {
  int64_t columns, first, end, reach;
  float top;
  const float* factor;  // upper Cholesky factor of the inverse second moments [columns, columns]
  const float *scale, *zeroPoint;  // [rows]
  float *weight, *codes, *errors;  // [rows, columns]
};

struct Adam {
  float rate, beta1, beta2, eps, correction2;  // rate holds the first moment's correction
  float least, most;  // bounds of the parameter
  float* parameter;
  const float* gradient;
  float *first, *second;
};

// Those that read and write either type.
template <typename T>
struct TypedKernels {
  // One tile of queries of one head.
  void (*attentionForward)(const AttentionForward<T>& job, int64_t batch, int64_t head, int64_t tile, float* scratch);
  // All heads that share one head of keys and values.
  void (*attentionBackward)(const AttentionBackward<T>& job, int64_t batch, int64_t kvHead, float* scratch);
  // Rows, or elements, [begin, end).
  void (*rmsNormForward)(const RmsNorm<T>& job, int64_t begin, int64_t end);
  void (*rmsNormBackward)(const RmsNorm<T>& job, int64_t begin, int64_t end);
  void (*siluProductForward)(const SiluProduct<T>& job, int64_t begin, int64_t end);
  void (*siluProductBackward)(const SiluProduct<T>& job, int64_t begin, int64_t end);
  void (*rotary)(const Rotary<T>& job, int64_t begin, int64_t end);  // rows of [batch, heads, time]
  void (*tokenErrorForward)(const TokenError<T>& job, int64_t begin, int64_t end);
  void (*tokenErrorBackward)(const TokenError<T>& job, int64_t begin, int64_t end);
  void (*tokenRoundForward)(const TokenRound<T>& job, int64_t begin, int64_t end);
  void (*tokenRoundBackward)(const TokenRound<T>& job, int64_t begin, int64_t end);
  void (*codeUnitForward)(const CodeUnitRound<T>& job, int64_t begin, int64_t end);
  void (*codeUnitBackward)(const CodeUnitRound<T>& job, int64_t begin, int64_t end);
  // `scratch` holds softRoundScratch(columns) elements.
  void (*softRoundForward)(const SoftRound<T>& job, int64_t begin, int64_t end, float* scratch);
  void (*softRoundBackward)(const SoftRound<T>& job, int64_t begin, int64_t end, float* scratch);
};

struct Kernels {
  const char* name;
  TypedKernels<float> float32;
  TypedKernels<BFloat16> bfloat16;
  void (*rangeSearch)(const RangeSearch& job, int64_t begin, int64_t end);
  void (*gptqColumns)(const GptqColumns& job, int64_t begin, int64_t end);
  void (*adam)(const Adam& job, int64_t begin, int64_t end);
};

// Elements of scratch memory that one thread needs.
constexpr int64_t attentionForwardScratch(int64_t headDim) { return kQueryTile * (kKeyTile + 2 * headDim); }
constexpr int64_t attentionBackwardScratch(int64_t headDim) {
  return 2 * kQueryTile * (kKeyTile + headDim) + 2 * kKeyTile * headDim;
}

// The widest vector, so that a row may be worked on in whole vectors.
constexpr int64_t kMostLanes = 16;
constexpr int64_t softRoundScratch(int64_t columns) { return 2 * (columns + kMostLanes); }

// The table of the widest instruction set that this processor has.
const Kernels& kernels();

}  // namespace crossblock
