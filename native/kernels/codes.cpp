// Finding grids and codes without training: the search of src/quant/grid/range.ts and the columns of src/quant/solver/gptq.ts.
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
  const float* importance;  // null for equal ones
  int64_t size;
  float top;
};

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

// 0, 1, -1, 2, -2, ...
inline float offset(int64_t variant) {
  return static_cast<float>(variant % 2 == 1 ? (variant + 1) / 2 : -variant / 2);
}

// Groups and ranges come by value: the compiler makes vectors only of what no reference may alias.
template <bool weighted>
float roundingError(Group group, Range range) {
  // A quotient that rounds the other way lies between two codes that are equally far.
  const float inverse = 1 / range.scale, least = -range.zeroPoint, most = group.top - range.zeroPoint;
  float error = 0;
#pragma omp simd reduction(+ : error)
  for (int64_t i = 0; i < group.size; ++i) {
    const float distance = bounded(__builtin_rintf(group.weight[i] * inverse), least, most);
    const float lost = distance * range.scale - group.weight[i];
    error += lost * lost * (weighted ? group.importance[i] : 1.0f);
  }
  return error;
}

// The scale that serves the codes of round-to-nearest best: sum(w d) / sum(d^2), d = code - zeroPoint.
template <bool weighted>
Range fitted(Group group, Range range) {
  float product = 0, square = 0;
#pragma omp simd reduction(+ : product, square)
  for (int64_t i = 0; i < group.size; ++i) {
    const float code = bounded(__builtin_rintf(group.weight[i] / range.scale) + range.zeroPoint, 0, group.top);
    const float distance = code - range.zeroPoint;
    const float counted = distance * (weighted ? group.importance[i] : 1.0f);
    product += counted * group.weight[i];
    square += counted * distance;
  }
  const float scale = product / (square > 1e-20f ? square : 1e-20f);
  return {scale == 0 ? range.scale : storable(scale), range.zeroPoint};
}

template <bool weighted>
void searchRows(const RangeSearch& job, int64_t begin, int64_t end) {
  for (int64_t at = begin * job.groups; at < end * job.groups; ++at) {
    const int64_t column = at % job.groups * job.groupSize;
    const Group group{job.weight + at * job.groupSize, weighted ? job.importance + column : nullptr,
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
    // Both signs of a symmetric scale; the zero points around the one that an asymmetric range leads to.
    const int64_t variants = job.symmetric ? 2 : job.candidates > 1 ? 2 * job.neighbours + 1 : 1;
    for (int64_t variant = 0; variant < variants; ++variant) {
      for (int64_t i = 0; i < job.candidates; ++i) {
        const double step = job.candidates > 1 ? static_cast<double>(i) / static_cast<double>(job.candidates - 1) : 0;
        const float ratio = static_cast<float>(1 - step * (1 - static_cast<double>(job.smallest)));
        Range range{};
        if (job.symmetric) {
          const float scale = longest * (ratio / half);
          range = {storable((scale > 1e-5f ? scale : 1e-5f) * (variant == 0 ? sign : -sign)), half};
        } else {
          range.scale = storable((most - least) * (ratio / job.top));
          range.zeroPoint = bounded(__builtin_rintf(least * -ratio / range.scale), 0, job.top) + offset(variant);
          if (range.zeroPoint < 0 || range.zeroPoint > job.top) continue;
        }
        const float found = roundingError<weighted>(group, range);
        if ((variant == 0 && i == 0) || found < error) {
          best = range;
          error = found;
        }
      }
    }
    for (int64_t i = 0; job.candidates > 1 && i < job.refinements; ++i) {
      const Range range = fitted<weighted>(group, best);
      const float found = roundingError<weighted>(group, range);
      if (!(found < error)) break;
      best = range;
      error = found;
    }
    job.scale[at] = best.scale;
    job.zeroPoint[at] = best.zeroPoint;
  }
}

}  // namespace

void rangeSearch(const RangeSearch& job, int64_t begin, int64_t end) {
  return job.importance == nullptr ? searchRows<false>(job, begin, end) : searchRows<true>(job, begin, end);
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
