// Finding grids and codes without training: the search of src/quant/range.ts and the columns of src/quant/gptq.ts.
#include "kernels.h"
#include "simd.h"

namespace crossblock::CROSSBLOCK_ISA {

namespace {

struct Range {
  float scale;
  float zeroPoint;
};

struct Group {
  const float* weight;
  const float* importance;
  int64_t size;
  float top;
};

inline float bounded(float value, float least, float most) {
  return value < least ? least : value > most ? most : value;
}

// The nearest fp16 number, as fp32, of a magnitude up to 65504; ties to even.
float halfPrecision(float x) {
  if (__builtin_fabsf(x) < 6.103515625e-5f) return __builtin_rintf(x * 16777216.0f) / 16777216.0f;
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0xfff + ((bits >> 13) & 1)) & ~uint32_t{0x1fff};
  std::memcpy(&x, &bits, sizeof bits);
  return x;
}

float storable(float scale) {
  const float magnitude = halfPrecision(bounded(__builtin_fabsf(scale), 1e-5f, 65504.0f));
  return scale < 0 ? -magnitude : magnitude;
}

float roundingError(const Group& group, const Range& range) {
  float error = 0;
#pragma omp simd reduction(+ : error)
  for (int64_t i = 0; i < group.size; ++i) {
    const float code = bounded(__builtin_rintf(group.weight[i] / range.scale) + range.zeroPoint, 0, group.top);
    const float lost = (code - range.zeroPoint) * range.scale - group.weight[i];
    error += lost * lost * (group.importance == nullptr ? 1.0f : group.importance[i]);
  }
  return error;
}

// The scale that serves the codes of round-to-nearest best: sum(w d) / sum(d^2), d = code - zeroPoint.
Range fitted(const Group& group, const Range& range) {
  float product = 0, square = 0;
#pragma omp simd reduction(+ : product, square)
  for (int64_t i = 0; i < group.size; ++i) {
    const float code = bounded(__builtin_rintf(group.weight[i] / range.scale) + range.zeroPoint, 0, group.top);
    const float distance = code - range.zeroPoint;
    const float weighted = distance * (group.importance == nullptr ? 1.0f : group.importance[i]);
    product += weighted * group.weight[i];
    square += weighted * distance;
  }
  const float scale = product / (square > 1e-20f ? square : 1e-20f);
  return {scale == 0 ? range.scale : storable(scale), range.zeroPoint};
}

}  // namespace

void rangeSearch(const RangeSearch& job, int64_t begin, int64_t end) {
  for (int64_t at = begin * job.groups; at < end * job.groups; ++at) {
    const int64_t column = at % job.groups * job.groupSize;
    const Group group{job.weight + at * job.groupSize, job.importance == nullptr ? nullptr : job.importance + column,
                      job.groupSize, job.top};
    float least = 0, most = 0;
#pragma omp simd reduction(min : least) reduction(max : most)
    for (int64_t i = 0; i < group.size; ++i) {
      least = least < group.weight[i] ? least : group.weight[i];
      most = most > group.weight[i] ? most : group.weight[i];
    }
    const float half = (job.top + 1) / 2;
    const float longest = -least > most ? -least : most;
    // The code 0 is the extra level; a negative scale gives it to a longer positive tail.
    const float sign = -least >= most ? 1.0f : -1.0f;
    Range best{};
    float error = 0;
    for (int direction = 0; direction < (job.symmetric ? 2 : 1); ++direction) {
      for (int64_t i = 0; i < job.candidates; ++i) {
        const double step = job.candidates > 1 ? static_cast<double>(i) / static_cast<double>(job.candidates - 1) : 0;
        const float ratio = static_cast<float>(1 - step * (1 - static_cast<double>(job.smallest)));
        Range range{};
        if (job.symmetric) {
          const float scale = longest * (ratio / half);
          range = {storable((scale > 1e-5f ? scale : 1e-5f) * (direction == 0 ? sign : -sign)), half};
        } else {
          range.scale = storable((most - least) * (ratio / job.top));
          range.zeroPoint = bounded(__builtin_rintf(least * -ratio / range.scale), 0, job.top);
        }
        const float found = roundingError(group, range);
        if ((direction == 0 && i == 0) || found < error) {
          best = range;
          error = found;
        }
      }
    }
    for (int64_t i = 0; job.candidates > 1 && i < job.refinements; ++i) {
      const Range range = fitted(group, best);
      const float found = roundingError(group, range);
      if (!(found < error)) break;
      best = range;
      error = found;
    }
    job.scale[at] = best.scale;
    job.zeroPoint[at] = best.zeroPoint;
  }
}

void gptqColumns(const GptqColumns& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    float* weight = job.weight + row * job.columns;
    const float scale = job.scale[row], zeroPoint = job.zeroPoint[row];
    for (int64_t i = job.first; i < job.end; ++i) {
      const float* factor = job.factor + i * job.columns;
      const float code = bounded(__builtin_rintf(weight[i] / scale) + zeroPoint, 0, job.top);
      const float lost = (weight[i] - (code - zeroPoint) * scale) / factor[i];
      job.codes[row * job.columns + i] = code;
      job.errors[row * job.columns + i] = lost;
#pragma omp simd
      for (int64_t j = i + 1; j < job.reach; ++j) weight[j] -= lost * factor[j];
    }
  }
}

}  // namespace crossblock::CROSSBLOCK_ISA
