// The passes of a decoder block between its products, one each way.
#include "kernels.h"
#include "simd.h"

namespace crossblock::CROSSBLOCK_ISA {

template <typename T>
void rmsNormForward(const RmsNorm<T>& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* x = job.x + row * job.width;
    T* out = job.out + row * job.width;
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < job.width; ++i) squares += get(x[i]) * get(x[i]);
    const float inverse = 1.0f / __builtin_sqrtf(squares / static_cast<float>(job.width) + job.eps);
    job.inverse[row] = inverse;
#pragma omp simd
    for (int64_t i = 0; i < job.width; ++i) put(out[i], get(x[i]) * inverse * get(job.weight[i]));
  }
}

template <typename T>
void rmsNormBackward(const RmsNorm<T>& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* x = job.x + row * job.width;
    const T* gradient = job.gradient + row * job.width;
    T* dx = job.dx + row * job.width;
    const float inverse = job.inverse[row];
    float along = 0;
#pragma omp simd reduction(+ : along)
    for (int64_t i = 0; i < job.width; ++i) along += get(gradient[i]) * get(job.weight[i]) * get(x[i]);
    const float back = along * inverse * inverse * inverse / static_cast<float>(job.width);
#pragma omp simd
    for (int64_t i = 0; i < job.width; ++i) {
      put(dx[i], get(gradient[i]) * get(job.weight[i]) * inverse - get(x[i]) * back);
    }
  }
}

template <typename T>
void rotary(const Rotary<T>& job, int64_t begin, int64_t end) {
  const int64_t half = job.headDim / 2;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t position = row % job.time;
    const int64_t line = row / job.time;
    const T* x = job.x + line / job.heads * job.layout.batch + line % job.heads * job.layout.head +
                     position * job.layout.time;
    const T* cos = job.cos + position * half;
    const T* sin = job.sin + position * half;
    T* out = job.out + row * job.headDim;
#pragma omp simd
    for (int64_t i = 0; i < half; ++i) {
      const float a = get(x[i]), b = get(x[half + i]), turn = job.sign * get(sin[i]);
      put(out[i], a * get(cos[i]) - b * turn);
      put(out[half + i], b * get(cos[i]) + a * turn);
    }
  }
}

namespace {

// `body(at, count)` for pieces of [begin, end) of one vector each, the last one possibly short.
template <typename Body>
inline void inVectors(int64_t begin, int64_t end, const Body& body) {
  for (int64_t at = begin; at < end; at += kLanes) body(at, end - at < kLanes ? end - at : kLanes);
}

template <typename T>
inline Floats loadSome(const T* from, int64_t count) {
  if (count == kLanes) return load(from);
  T whole[kLanes]{};
  std::memcpy(whole, from, count * sizeof(T));
  return load(whole);
}

template <typename T>
inline void storeSome(T* to, Floats value, int64_t count) {
  if (count == kLanes) return store(to, value);
  T whole[kLanes];
  store(whole, value);
  std::memcpy(to, whole, count * sizeof(T));
}

inline Floats sigmoid(Floats x) { return splat(1.0f) / (splat(1.0f) + exponential(-x)); }

}  // namespace

template <typename T>
void siluProductForward(const SiluProduct<T>& job, int64_t begin, int64_t end) {
  inVectors(begin, end, [&](int64_t at, int64_t count) {
    const Floats gate = loadSome(job.gate + at, count);
    storeSome(job.out + at, gate * sigmoid(gate) * loadSome(job.up + at, count), count);
  });
}

template <typename T>
void siluProductBackward(const SiluProduct<T>& job, int64_t begin, int64_t end) {
  inVectors(begin, end, [&](int64_t at, int64_t count) {
    const Floats gate = loadSome(job.gate + at, count);
    const Floats gradient = loadSome(job.gradient + at, count);
    const Floats share = sigmoid(gate);
    const Floats slope = share * (splat(1.0f) + gate * (splat(1.0f) - share));
    storeSome(job.dGate + at, gradient * loadSome(job.up + at, count) * slope, count);
    storeSome(job.dUp + at, gradient * gate * share, count);
  });
}

template <typename T>
void tokenErrorForward(const TokenError<T>& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* target = job.target + row * job.width;
    const T* actual = job.actual + row * job.width;
    float error = 0, magnitude = 0;
#pragma omp simd reduction(+ : error, magnitude)
    for (int64_t i = 0; i < job.width; ++i) {
      const float wanted = get(target[i]);
      const float distance = get(actual[i]) - wanted;
      error += distance * distance;
      magnitude += wanted * wanted;
    }
    const float least = 1e-12f * static_cast<float>(job.width);
    job.inverse[row] = 1.0f / (magnitude > least ? magnitude : least);
    job.error[row] = error * job.inverse[row];
  }
}

template <typename T>
void tokenErrorBackward(const TokenError<T>& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* target = job.target + row * job.width;
    const T* actual = job.actual + row * job.width;
    T* gradient = job.gradient + row * job.width;
    const float factor = job.factor * job.inverse[row];
#pragma omp simd
    for (int64_t i = 0; i < job.width; ++i) put(gradient[i], (get(actual[i]) - get(target[i])) * factor);
  }
}

void adam(const Adam& job, int64_t begin, int64_t end) {
  const float root = 1.0f / job.correction2;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const float gradient = job.gradient[i];
    const float first = job.first[i] * job.beta1 + gradient * (1 - job.beta1);
    const float second = job.second[i] * job.beta2 + gradient * gradient * (1 - job.beta2);
    job.first[i] = first;
    job.second[i] = second;
    const float moved = job.parameter[i] - job.rate * first / (__builtin_sqrtf(second) * root + job.eps);
    job.parameter[i] = moved < job.least ? job.least : moved > job.most ? job.most : moved;
  }
}

template void rmsNormForward(const RmsNorm<float>&, int64_t, int64_t);
template void rmsNormBackward(const RmsNorm<float>&, int64_t, int64_t);
template void siluProductForward(const SiluProduct<float>&, int64_t, int64_t);
template void siluProductBackward(const SiluProduct<float>&, int64_t, int64_t);
template void rotary(const Rotary<float>&, int64_t, int64_t);
template void tokenErrorForward(const TokenError<float>&, int64_t, int64_t);
template void tokenErrorBackward(const TokenError<float>&, int64_t, int64_t);
template void rmsNormForward(const RmsNorm<BFloat16>&, int64_t, int64_t);
template void rmsNormBackward(const RmsNorm<BFloat16>&, int64_t, int64_t);
template void siluProductForward(const SiluProduct<BFloat16>&, int64_t, int64_t);
template void siluProductBackward(const SiluProduct<BFloat16>&, int64_t, int64_t);
template void rotary(const Rotary<BFloat16>&, int64_t, int64_t);
template void tokenErrorForward(const TokenError<BFloat16>&, int64_t, int64_t);
template void tokenErrorBackward(const TokenError<BFloat16>&, int64_t, int64_t);

}  // namespace crossblock::CROSSBLOCK_ISA
