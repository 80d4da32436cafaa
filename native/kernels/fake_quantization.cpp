// Fake quantization and its gradients, one pass over the weight each way. The formulas are those of src/quant, where
// the same is composed of libtorch's operators; the tests hold the two against each other.
#include "kernels.h"
#include "simd.h"

namespace crossblock::CROSSBLOCK_ISA {

template <typename T>
void tokenRoundForward(const TokenRound<T>& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* x = job.x + row * job.width;
    T* out = job.out + row * job.width;
    float range = 1e-8f;
#pragma omp simd reduction(max : range)
    for (int64_t i = 0; i < job.width; ++i) {
      const float magnitude = __builtin_fabsf(get(x[i]));
      range = range > magnitude ? range : magnitude;
    }
    const float step = range * (job.clip / job.top), least = -job.top - 1, most = job.top;
#pragma omp simd
    for (int64_t i = 0; i < job.width; ++i) put(out[i], bounded(__builtin_rintf(get(x[i]) / step), least, most) * step);
  }
}

template <typename T>
void tokenRoundBackward(const TokenRound<T>& job, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* x = job.x + row * job.width;
    const T* gradient = job.gradient + row * job.width;
    T* dx = job.dx + row * job.width;
    float range = 1e-8f;
#pragma omp simd reduction(max : range)
    for (int64_t i = 0; i < job.width; ++i) {
      const float magnitude = __builtin_fabsf(get(x[i]));
      range = range > magnitude ? range : magnitude;
    }
    const float step = range * (job.clip / job.top), least = -job.top - 1, most = job.top;
    float slope = 0;
#pragma omp simd reduction(+ : slope)
    for (int64_t i = 0; i < job.width; ++i) {
      const float units = get(x[i]) / step;
      const float code = __builtin_rintf(units);
      const float kept = bounded(code, least, most);
      const bool inside = kept == code;
      pass(dx[i], gradient[i], inside);
      slope += get(gradient[i]) * (kept - (inside ? units : 0.0f));
    }
    job.dClip[row] = slope * (range / job.top);
  }
}

template <typename T>
void codeUnitForward(const CodeUnitRound<T>& job, int64_t begin, int64_t end) {
  const WeightGrid<T>& grid = job.grid;
  for (int64_t group = begin * grid.groups; group < end * grid.groups; ++group) {
    const float* weight = grid.weight + group * grid.groupSize;
    const float* offset = job.offset + group * grid.groupSize;
    T* out = grid.out + group * grid.groupSize;
    const float scale = grid.scale[group];
    const float zeroPoint = __builtin_rintf(grid.zeroPoint[group]);
#pragma omp simd
    for (int64_t i = 0; i < grid.groupSize; ++i) {
      const float code = __builtin_rintf(weight[i] / scale + offset[i]) + zeroPoint;
      put(out[i], (bounded(code, 0, grid.top) - zeroPoint) * scale);
    }
  }
}

template <typename T>
void codeUnitBackward(const CodeUnitRound<T>& job, int64_t begin, int64_t end) {
  const WeightGrid<T>& grid = job.grid;
  for (int64_t group = begin * grid.groups; group < end * grid.groups; ++group) {
    const float* weight = grid.weight + group * grid.groupSize;
    const float* offset = job.offset + group * grid.groupSize;
    const T* gradient = grid.gradient + group * grid.groupSize;
    float* dOffset = job.dOffset + group * grid.groupSize;
    const float scale = grid.scale[group];
    const float zeroPoint = __builtin_rintf(grid.zeroPoint[group]);
    float dScale = 0, clippedAway = 0;
#pragma omp simd reduction(+ : dScale, clippedAway)
    for (int64_t i = 0; i < grid.groupSize; ++i) {
      const float units = weight[i] / scale;
      const float code = __builtin_rintf(units + offset[i]) + zeroPoint;
      const bool inside = code >= 0 && code <= grid.top;
      const float slope = get(gradient[i]);
      dOffset[i] = inside ? slope * scale : 0.0f;
      clippedAway += inside ? 0.0f : slope * scale;
      dScale += slope * (bounded(code, 0, grid.top) - zeroPoint - (inside ? units : 0.0f));
    }
    grid.dScale[group] = dScale;
    if (grid.dZeroPoint != nullptr) grid.dZeroPoint[group] = -clippedAway;
  }
}

namespace {

// h stretches the sigmoid a little over [0, 1], so that both ends can be reached.
constexpr float kZeta = 1.1f;
constexpr float kGamma = -0.1f;

// One row of e^-D: with p = sigmoid(V0), sigmoid(V0 + D) = p / (p + (1 - p) e^-D), so V0 is never computed.
template <typename T>
void shrinkage(const SoftRound<T>& job, int64_t row, int64_t columns, float* to) {
  if (job.rank == 0) {
    std::memcpy(to, job.offset + row * columns, columns * sizeof(float));
  } else {
    std::memset(to, 0, columns * sizeof(float));
    for (int64_t r = 0; r < job.rank; ++r) {
      const float factor = job.left[row * job.rank + r];
      const float* right = job.offset + r * columns;
#pragma omp simd
      for (int64_t i = 0; i < columns; ++i) to[i] += factor * right[i];
    }
  }
  for (int64_t i = columns; i < columns + kMostLanes; ++i) to[i] = 0;
  for (int64_t i = 0; i < columns; i += kLanes) store(to + i, exponential(-load(to + i)));
}

struct Soft {
  float floor;
  float sigmoid;
  float h;
};

inline Soft softly(float units, float shrink) {
  const float floor = __builtin_floorf(units);
  const float p = (units - floor - kGamma) / (kZeta - kGamma);
  const float sigmoid = p / (p + (1 - p) * shrink);
  return {floor, sigmoid, bounded(sigmoid * (kZeta - kGamma) + kGamma, 0, 1)};
}

// a^power of a row in place; zero where a is zero.
void raise(float* a, int64_t columns, float power) {
  const Floats tiny = splat(1e-30f);
  for (int64_t i = 0; i < columns; i += kLanes) {
    const Floats base = load(a + i);
    store(a + i, select(base < tiny, splat(0.0f), exponential(logarithm(larger(base, tiny)) * splat(power))));
  }
}

}  // namespace

template <typename T>
void softRoundForward(const SoftRound<T>& job, int64_t begin, int64_t end, float* scratch) {
  const WeightGrid<T>& grid = job.grid;
  const int64_t columns = grid.groups * grid.groupSize;
  for (int64_t row = begin; row < end; ++row) {
    shrinkage(job, row, columns, scratch);
    for (int64_t g = 0; g < grid.groups; ++g) {
      const int64_t group = row * grid.groups + g;
      const float* weight = grid.weight + group * grid.groupSize;
      const float* shrink = scratch + g * grid.groupSize;
      T* out = grid.out + group * grid.groupSize;
      const float scale = grid.scale[group], start = job.startScale[group];
      const float zeroPoint = __builtin_rintf(grid.zeroPoint[group]);
#pragma omp simd
      for (int64_t i = 0; i < grid.groupSize; ++i) {
        const Soft soft = softly(weight[i] / start, shrink[i]);
        put(out[i], (bounded(soft.floor + soft.h + zeroPoint, 0, grid.top) - zeroPoint) * scale);
      }
    }
  }
}

template <typename T>
void softRoundBackward(const SoftRound<T>& job, int64_t begin, int64_t end, float* scratch) {
  const WeightGrid<T>& grid = job.grid;
  const int64_t columns = grid.groups * grid.groupSize;
  float* pull = scratch + columns + kMostLanes;
  for (int64_t row = begin; row < end; ++row) {
    shrinkage(job, row, columns, scratch);
    float* dOffset = job.rank == 0 ? job.dOffset + row * columns : scratch;
    if (job.penalty != 0) {
      for (int64_t g = 0; g < grid.groups; ++g) {
        const int64_t group = row * grid.groups + g;
        const float* weight = grid.weight + group * grid.groupSize;
        const float start = job.startScale[group];
        const float* shrink = scratch + g * grid.groupSize;
        float* to = pull + g * grid.groupSize;
#pragma omp simd
        for (int64_t i = 0; i < grid.groupSize; ++i) {
          to[i] = __builtin_fabsf(2 * softly(weight[i] / start, shrink[i]).h - 1);
        }
      }
      for (int64_t i = columns; i < columns + kMostLanes; ++i) pull[i] = 0;
      raise(pull, columns, job.beta - 1);
    }
    for (int64_t g = 0; g < grid.groups; ++g) {
      const int64_t group = row * grid.groups + g;
      const float* weight = grid.weight + group * grid.groupSize;
      const T* gradient = grid.gradient + group * grid.groupSize;
      const float* shrink = scratch + g * grid.groupSize;
      const float* towards = pull + g * grid.groupSize;
      float* to = dOffset + g * grid.groupSize;
      const float scale = grid.scale[group], start = job.startScale[group];
      const float zeroPoint = __builtin_rintf(grid.zeroPoint[group]);
      const float penalty = job.penalty == 0 ? 0 : -2 * job.beta * job.penalty;
      float dScale = 0, clippedAway = 0;
#pragma omp simd reduction(+ : dScale, clippedAway)
      for (int64_t i = 0; i < grid.groupSize; ++i) {
        const Soft soft = softly(weight[i] / start, shrink[i]);
        const float code = soft.floor + soft.h + zeroPoint;
        const bool inside = code >= 0 && code <= grid.top;
        const float above = get(gradient[i]);
        const float through = inside ? above * scale : 0.0f;
        const float stretched = soft.sigmoid * (kZeta - kGamma) + kGamma;
        const float slope =
            stretched >= 0 && stretched <= 1 ? (kZeta - kGamma) * soft.sigmoid * (1 - soft.sigmoid) : 0.0f;
        const float pulled = penalty == 0 ? 0.0f : penalty * (soft.h > 0.5f ? towards[i] : -towards[i]);
        clippedAway += inside ? 0.0f : above * scale;
        dScale += above * (bounded(code, 0, grid.top) - zeroPoint);
        to[i] = (through + pulled) * slope;
      }
      grid.dScale[group] = dScale;
      if (grid.dZeroPoint != nullptr) grid.dZeroPoint[group] = -clippedAway;
    }
    for (int64_t r = 0; r < job.rank; ++r) {
      const float* right = job.offset + r * columns;
      float* dRight = job.dOffset + r * columns;
      const float factor = job.left[row * job.rank + r];
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t i = 0; i < columns; ++i) {
        dot += dOffset[i] * right[i];
        dRight[i] += factor * dOffset[i];
      }
      job.dLeft[row * job.rank + r] = dot;
    }
  }
}

template void tokenRoundForward(const TokenRound<float>&, int64_t, int64_t);
template void tokenRoundBackward(const TokenRound<float>&, int64_t, int64_t);
template void codeUnitForward(const CodeUnitRound<float>&, int64_t, int64_t);
template void codeUnitBackward(const CodeUnitRound<float>&, int64_t, int64_t);
template void softRoundForward(const SoftRound<float>&, int64_t, int64_t, float*);
template void softRoundBackward(const SoftRound<float>&, int64_t, int64_t, float*);
template void tokenRoundForward(const TokenRound<BFloat16>&, int64_t, int64_t);
template void tokenRoundBackward(const TokenRound<BFloat16>&, int64_t, int64_t);
template void codeUnitForward(const CodeUnitRound<BFloat16>&, int64_t, int64_t);
template void codeUnitBackward(const CodeUnitRound<BFloat16>&, int64_t, int64_t);
template void softRoundForward(const SoftRound<BFloat16>&, int64_t, int64_t, float*);
template void softRoundBackward(const SoftRound<BFloat16>&, int64_t, int64_t, float*);

}  // namespace crossblock::CROSSBLOCK_ISA
