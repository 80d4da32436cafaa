// Vectors of floats as wide as the instruction set that this unit is compiled for, by the compiler's
// own vector types: +, *, < work on them, and a product that is added becomes one instruction.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels.h"

namespace crossblock::CROSSBLOCK_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));
typedef uint16_t Shorts __attribute__((vector_size(kLanes * sizeof(uint16_t))));
typedef uint32_t Words __attribute__((vector_size(kLanes * sizeof(uint32_t))));
typedef int32_t Ints __attribute__((vector_size(kLanes * sizeof(int32_t))));

inline Floats load(const float* from) {
  Floats value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline Floats load(const BFloat16* from) {
  Shorts bits;
  std::memcpy(&bits, from, sizeof bits);
  const Words wide = __builtin_convertvector(bits, Words) << 16;
  Floats value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

inline void store(float* to, Floats value) { std::memcpy(to, &value, sizeof value); }

// Ties to even; a number that is none stays none.
inline void store(BFloat16* to, Floats value) {
  Words bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Ints sound = value == value;
  bits = sound ? bits : (Words{} + 0x7fc0);
  const Shorts narrow = __builtin_convertvector(bits, Shorts);
  std::memcpy(to, &narrow, sizeof narrow);
}

// The same one by one, for loops that the compiler turns into vectors.
inline float get(float x) { return x; }

inline float get(BFloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline void put(float& to, float value) { to = value; }

inline void put(BFloat16& to, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  to.bits = static_cast<uint16_t>(value == value ? bits : 0x7fc0);
}

// `value`, or zero in its place.
inline void pass(float& to, float value, bool whether) { to = whether ? value : 0.0f; }

// By a mask as wide as the floats that `whether` comes from: one of 16 bits takes longer than all else.
inline void pass(BFloat16& to, BFloat16 value, bool whether) {
  to.bits = static_cast<uint16_t>(static_cast<uint32_t>(value.bits) & (0u - static_cast<uint32_t>(whether)));
}

// A number that is none stays none.
inline float bounded(float value, float least, float most) {
  const float raised = value < least ? least : value;
  return raised > most ? most : raised;
}

inline Floats splat(float value) { return value - Floats{}; }

inline Floats select(Ints condition, Floats yes, Floats no) { return condition ? yes : no; }

inline Floats smaller(Floats a, Floats b) { return a < b ? a : b; }

inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }

inline float sum(Floats value) {
  float total = 0;
  for (int i = 0; i < kLanes; ++i) total += value[i];
  return total;
}

inline float largest(Floats value) {
  float found = value[0];
  for (int i = 1; i < kLanes; ++i) found = value[i] > found ? value[i] : found;
  return found;
}

// Round to nearest, ties to even, for magnitudes below 2^22: the sum has no bits left for a fraction.
inline Floats nearest(Floats x) {
  const Floats shift = splat(12582912.0f);
  return (x + shift) - shift;
}

// e^x to 2 units in the last place; 0 below -87.3, and x above 88 counts as 88.
// Range reduction by powers of two, then the polynomial of Cephes' expf.
inline Floats exponential(Floats x) {
  const Floats bounded = smaller(larger(x, splat(-87.3f)), splat(88.0f));
  const Floats power = nearest(bounded * splat(1.44269504f));
  Floats r = bounded - power * splat(0.693359375f);
  r = r + power * splat(2.12194440e-4f);
  Floats p = splat(1.9875691500e-4f);
  p = p * r + splat(1.3981999507e-3f);
  p = p * r + splat(8.3334519073e-3f);
  p = p * r + splat(4.1665795894e-2f);
  p = p * r + splat(1.6666665459e-1f);
  p = p * r + splat(5.0000001201e-1f);
  p = p * r * r + r + splat(1.0f);
  const Ints exponent = (__builtin_convertvector(power, Ints) + 127) << 23;
  Floats scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  return select(x < splat(-87.3f), splat(0.0f), p * scale);
}

// ln x of a positive normal number, to 2 units in the last place. Cephes' logf.
inline Floats logarithm(Floats x) {
  Ints bits;
  std::memcpy(&bits, &x, sizeof bits);
  Ints exponent = ((bits >> 23) & 0xff) - 126;
  const Ints fraction = (bits & 0x7fffff) | 0x3f000000;
  Floats m;
  std::memcpy(&m, &fraction, sizeof m);
  const Ints low = m < splat(0.70710678f);
  exponent += low;  // a true comparison is -1
  m = select(low, m + m, m) - splat(1.0f);
  const Floats z = m * m;
  Floats p = splat(7.0376836292e-2f);
  p = p * m - splat(1.1514610310e-1f);
  p = p * m + splat(1.1676998740e-1f);
  p = p * m - splat(1.2420140846e-1f);
  p = p * m + splat(1.4249322787e-1f);
  p = p * m - splat(1.6668057665e-1f);
  p = p * m + splat(2.0000714765e-1f);
  p = p * m - splat(2.4999993993e-1f);
  p = p * m + splat(3.3333331174e-1f);
  const Floats power = __builtin_convertvector(exponent, Floats);
  Floats y = p * m * z + power * splat(-2.12194440e-4f) - splat(0.5f) * z;
  return m + y + power * splat(0.693359375f);
}

}  // namespace crossblock::CROSSBLOCK_ISA
