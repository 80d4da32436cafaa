// The passes of a decoder block between its products, one each way.
#include "kernels.h"
#include "simd.h"

namespace crossblock::CROSSBLOCK_ISA {

void rmsNormForward(const RmsNorm& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* x = job.x + row * job.width;
    float* out = job.out + row * job.width;
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < job.width; ++i) squares += x[i] * x[i];
    const float inverse = 1.0f / __builtin_sqrtf(squares / static_cast<float>(job.width) + job.eps);
    job.inverse[row] = inverse;
#pragma omp simd
    for (int64_t i = 0; i < job.width; ++i) out[i] = x[i] * inverse * job.weight[i];
  }
}

void rmsNormBackward(const RmsNorm& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* x = job.x + row * job.width;
    const float* gradient = job.gradient + row * job.width;
    float* dx = job.dx + row * job.width;
    const float inverse = job.inverse[row];
    float along = 0;
#pragma omp simd reduction(+ : along)
    for (int64_t i = 0; i < job.width; ++i) along += gradient[i] * job.weight[i] * x[i];
    const float back = along * inverse * inverse * inverse / static_cast<float>(job.width);
#pragma omp simd
    for (int64_t i = 0; i < job.width; ++i) dx[i] = gradient[i] * job.weight[i] * inverse - x[i] * back;
  }
}

void rotary(const Rotary& job, int64_t begin, int64_t end) {
  const int64_t half = job.headDim / 2;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t position = row % job.time;
    const int64_t line = row / job.time;
    const float* x = job.x + line / job.heads * job.layout.batch + line % job.heads * job.layout.head +
                     position * job.layout.time;
    const float* cos = job.cos + position * half;
    const float* sin = job.sin + position * half;
    float* out = job.out + row * job.headDim;
#pragma omp simd
    for (int64_t i = 0; i < half; ++i) {
      const float a = x[i], b = x[half + i], turn = job.sign * sin[i];
      out[i] = a * cos[i] - b * turn;
      out[half + i] = b * cos[i] + a * turn;
    }
  }
}

namespace {

// `body(at, count)` for pieces of [begin, end) of one vector each, the last one possibly short.
template <typename Body>
inline void inVectors(int64_t begin, int64_t end, const Body& body) {
  for (int64_t at = begin; at < end; at += kLanes) body(at, end - at < kLanes ? end - at : kLanes);
}

inline Floats loadSome(const float* from, int64_t count) {
  if (count == kLanes) return load(from);
  Floats value = splat(0.0f);
  std::memcpy(&value, from, count * sizeof(float));
  return value;
}

inline void storeSome(float* to, Floats value, int64_t count) { std::memcpy(to, &value, count * sizeof(float)); }

inline Floats sigmoid(Floats x) { return splat(1.0f) / (splat(1.0f) + exponential(-x)); }

}  // namespace

void siluProductForward(const SiluProduct& job, int64_t begin, int64_t end) {
  inVectors(begin, end, [&](int64_t at, int64_t count) {
    const Floats gate = loadSome(job.gate + at, count);
    storeSome(job.out + at, gate * sigmoid(gate) * loadSome(job.up + at, count), count);
  });
}

void siluProductBackward(const SiluProduct& job, int64_t begin, int64_t end) {
  inVectors(begin, end, [&](int64_t at, int64_t count) {
    const Floats gate = loadSome(job.gate + at, count);
    const Floats gradient = loadSome(job.gradient + at, count);
    const Floats share = sigmoid(gate);
    const Floats slope = share * (splat(1.0f) + gate * (splat(1.0f) - share));
    storeSome(job.dGate + at, gradient * loadSome(job.up + at, count) * slope, count);
    storeSome(job.dUp + at, gradient * gate * share, count);
  });
}

void tokenErrorForward(const TokenError& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* target = job.target + row * job.width;
    const float* actual = job.actual + row * job.width;
    float error = 0, magnitude = 0;
#pragma omp simd reduction(+ : error, magnitude)
    for (int64_t i = 0; i < job.width; ++i) {
      const float distance = actual[i] - target[i];
      error += distance * distance;
      magnitude += target[i] * target[i];
    }
    const float least = 1e-12f * static_cast<float>(job.width);
    job.inverse[row] = 1.0f / (magnitude > least ? magnitude : least);
    job.error[row] = error * job.inverse[row];
  }
}

void tokenErrorBackward(const TokenError& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* target = job.target + row * job.width;
    const float* actual = job.actual + row * job.width;
    float* gradient = job.gradient + row * job.width;
    const float factor = job.factor * job.inverse[row];
#pragma omp simd
    for (int64_t i = 0; i < job.width; ++i) gradient[i] = (actual[i] - target[i]) * factor;
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

}  // namespace crossblock::CROSSBLOCK_ISA
