// Causal attention that never holds the scores of more than one tile: online softmax forward (Milakov and Gimelshein,
// arXiv 1805.02867), scores computed again backward (FlashAttention, arXiv 2205.14135).
#include "gemm.h"
#include "kernels.h"

namespace crossblock::CROSSBLOCK_ISA {

namespace {

constexpr float kNothing = -__builtin_inff();

int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }

float greater(float a, float b) { return a > b ? a : b; }

// Keys of the tile that one query sees: [first, end), relative to the tile's first key.
struct Visible {
  int64_t first;
  int64_t end;
};

Visible visibleKeys(const AttentionShape& shape, int64_t query, int64_t tileStart) {
  const int64_t own = shape.seen - shape.time + query;
  const auto bounded = [](int64_t key) { return key < 0 ? 0 : key > kKeyTile ? kKeyTile : key; };
  return {bounded(own - shape.window + 1 - tileStart), bounded(own + 1 - tileStart)};
}

int64_t paddedKeys(const AttentionShape& shape) { return (shape.seen + kKeyTile - 1) / kKeyTile * kKeyTile; }

void fill(float* to, int64_t from, int64_t end, float value) {
  for (int64_t i = from; i < end; ++i) to[i] = value;
}

// Rows of a head as dense fp32: the left side of a product reads number by number.
template <typename T>
void widen(float* to, const T* from, int64_t rows, int64_t stride, int64_t dim) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < dim; i += kLanes) store(to + row * dim + i, load(from + row * stride + i));
  }
}

template <typename T>
void narrow(T* to, const float* from, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) store(to + i, load(from + i));
}

// Key tiles that any query of [first, end) sees: [begin, stop), in keys.
struct KeyRange {
  int64_t begin;
  int64_t stop;
};

KeyRange keyRange(const AttentionShape& shape, int64_t first, int64_t end) {
  const int64_t offset = shape.seen - shape.time;
  const int64_t lowest = offset + first - shape.window + 1;
  return {lowest > 0 ? lowest / kKeyTile * kKeyTile : 0, offset + end};
}

}  // namespace

template <typename T>
void attentionForward(const AttentionForward<T>& job, int64_t batch, int64_t head, int64_t tile, float* scratch) {
  const AttentionShape& shape = job.shape;
  const int64_t dim = shape.headDim;
  const int64_t kvHead = head / (shape.heads / shape.kvHeads);
  const int64_t first = tile * kQueryTile;
  const int64_t rows = lesser(kQueryTile, shape.time - first);
  const int64_t padded = paddedKeys(shape);
  const T* v = job.v + batch * job.vLayout.batch + kvHead * job.vLayout.head;
  const T* keys = job.keysAcross + (batch * shape.kvHeads + kvHead) * dim * padded;
  float* scores = scratch;
  float* mixed = scratch + kQueryTile * kKeyTile;
  float* q = mixed + kQueryTile * dim;
  widen(q, job.q + batch * job.qLayout.batch + head * job.qLayout.head + first * job.qLayout.time, rows,
        job.qLayout.time, dim);
  float highest[kQueryTile];
  float total[kQueryTile];
  fill(highest, 0, rows, kNothing);
  fill(total, 0, rows, 0.0f);
  fill(mixed, 0, rows * dim, 0.0f);
  const Floats scale = splat(shape.scale);
  const KeyRange range = keyRange(shape, first, first + rows);
  for (int64_t start = range.begin; start < range.stop; start += kKeyTile) {
    const int64_t count = lesser(kKeyTile, range.stop - start);
    const int64_t width = (count + kLanes - 1) / kLanes * kLanes;
    gemm<false>(rows, width, dim, {q, dim, 1}, keys + start, padded, scores, kKeyTile);
    for (int64_t row = 0; row < rows; ++row) {
      float* score = scores + row * kKeyTile;
      const Visible visible = visibleKeys(shape, first + row, start);
      fill(score, 0, visible.first, kNothing);
      fill(score, visible.end, width, kNothing);
      Floats peak = splat(kNothing);
      for (int64_t i = 0; i < width; i += kLanes) peak = larger(peak, load(score + i));
      const float now = greater(highest[row], largest(peak) * shape.scale);
      if (now == kNothing) {
        fill(score, 0, width, 0.0f);
        continue;
      }
      const Floats shift = splat(now);
      Floats partial = splat(0.0f);
      for (int64_t i = 0; i < width; i += kLanes) {
        const Floats weight = exponential(load(score + i) * scale - shift);
        partial += weight;
        store(score + i, weight);
      }
      const float shrink = __builtin_expf(highest[row] - now);
      total[row] = total[row] * shrink + sum(partial);
      highest[row] = now;
      float* output = mixed + row * dim;
      for (int64_t i = 0; i < dim; i += kLanes) store(output + i, load(output + i) * splat(shrink));
    }
    gemm<true>(rows, dim, count, {scores, kKeyTile, 1}, v + start * job.vLayout.time, job.vLayout.time, mixed, dim);
  }
  T* out = job.out + batch * job.outLayout.batch + head * job.outLayout.head + first * job.outLayout.time;
  for (int64_t row = 0; row < rows; ++row) {
    const Floats share = splat(1.0f / total[row]);
    for (int64_t i = 0; i < dim; i += kLanes) {
      store(out + row * job.outLayout.time + i, load(mixed + row * dim + i) * share);
    }
    job.logSum[(batch * shape.heads + head) * shape.time + first + row] = highest[row] + __builtin_logf(total[row]);
  }
}

template <typename T>
void attentionBackward(const AttentionBackward<T>& job, int64_t batch, int64_t kvHead, float* scratch) {
  const AttentionShape& shape = job.shape;
  const int64_t dim = shape.headDim;
  const int64_t group = shape.heads / shape.kvHeads;
  const int64_t padded = paddedKeys(shape);
  const int64_t shared = batch * shape.kvHeads + kvHead;
  const T* k = job.k + batch * job.kLayout.batch + kvHead * job.kLayout.head;
  const T* keys = job.keysAcross + shared * dim * padded;
  const T* values = job.valuesAcross + shared * dim * padded;
  float* weights = scratch;
  float* slopes = weights + kQueryTile * kKeyTile;
  float* dKeys = slopes + kQueryTile * kKeyTile;
  float* dValues = dKeys + kKeyTile * dim;
  float* q = dValues + kKeyTile * dim;
  float* gradient = q + kQueryTile * dim;
  const Floats scale = splat(shape.scale);
  for (int64_t start = 0; start < shape.seen; start += kKeyTile) {
    fill(dKeys, 0, kKeyTile * dim, 0.0f);
    fill(dValues, 0, kKeyTile * dim, 0.0f);
    for (int64_t head = kvHead * group; head < (kvHead + 1) * group; ++head) {
      const int64_t line = (batch * shape.heads + head) * shape.time;
      for (int64_t first = 0; first < shape.time; first += kQueryTile) {
        const int64_t rows = lesser(kQueryTile, shape.time - first);
        const KeyRange range = keyRange(shape, first, first + rows);
        if (start < range.begin || start >= range.stop) continue;
        const int64_t count = lesser(kKeyTile, range.stop - start);
        const int64_t width = (count + kLanes - 1) / kLanes * kLanes;
        widen(q, job.q + batch * job.qLayout.batch + head * job.qLayout.head + first * job.qLayout.time, rows,
              job.qLayout.time, dim);
        widen(gradient,
              job.gradient + batch * job.gradientLayout.batch + head * job.gradientLayout.head +
                  first * job.gradientLayout.time,
              rows, job.gradientLayout.time, dim);
        gemm<false>(rows, width, dim, {q, dim, 1}, keys + start, padded, weights, kKeyTile);
        gemm<false>(rows, width, dim, {gradient, dim, 1}, values + start, padded, slopes, kKeyTile);
        for (int64_t row = 0; row < rows; ++row) {
          float* weight = weights + row * kKeyTile;
          float* slope = slopes + row * kKeyTile;
          const Visible visible = visibleKeys(shape, first + row, start);
          const Floats shift = splat(job.logSum[line + first + row]);
          const Floats mean = splat(job.weighted[line + first + row]);
          for (int64_t i = 0; i < width; i += kLanes) {
            store(weight + i, exponential(load(weight + i) * scale - shift));
          }
          fill(weight, 0, visible.first, 0.0f);
          fill(weight, visible.end, width, 0.0f);
          for (int64_t i = 0; i < width; i += kLanes) {
            store(slope + i, load(weight + i) * (load(slope + i) - mean) * scale);
          }
        }
        gemm<true>(count, dim, rows, {weights, 1, kKeyTile}, gradient, dim, dValues, dim);
        gemm<true>(count, dim, rows, {slopes, 1, kKeyTile}, q, dim, dKeys, dim);
        gemm<true>(rows, dim, count, {slopes, kKeyTile, 1}, k + start * job.kLayout.time, job.kLayout.time,
                   job.dq + (line + first) * dim, dim);
      }
    }
    const int64_t kept = lesser(kKeyTile, shape.seen - start) * dim;
    narrow(job.dk + (shared * shape.seen + start) * dim, dKeys, kept);
    narrow(job.dv + (shared * shape.seen + start) * dim, dValues, kept);
  }
}

template void attentionForward(const AttentionForward<float>&, int64_t, int64_t, int64_t, float*);
template void attentionForward(const AttentionForward<BFloat16>&, int64_t, int64_t, int64_t, float*);
template void attentionBackward(const AttentionBackward<float>&, int64_t, int64_t, float*);
template void attentionBackward(const AttentionBackward<BFloat16>&, int64_t, int64_t, float*);

}  // namespace crossblock::CROSSBLOCK_ISA
