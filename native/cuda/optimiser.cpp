// Adam over many tensors at once, on CUDA.
#ifdef CROSSBLOCK_CUDA
#include <torch/library.h>

#include "../operators/checks.h"
#include "arguments.h"

namespace crossblock::cuda {

namespace {

const Program kOptimiser{"optimiser.cu", {}};
// The layouts that optimiser.cu reads.
constexpr int kTensors = 48;

struct AdamTensors {
  float* parameter[kTensors];
  const float* gradient[kTensors];
  float* first[kTensors];
  float* second[kTensors];
  long long size[kTensors];
  float rate[kTensors], least[kTensors], most[kTensors];
};

struct Tensors {
  const float* at[kTensors];
  long long size[kTensors];
};

Size gridFor(int64_t longest, int64_t perThread, int64_t count) {
  return {std::max<int64_t>(1, std::min(kMostBlocks, upTo(longest, kThreads * perThread))), count};
}

void adam(at::TensorList parameters, at::TensorList gradients, at::TensorList firsts, at::TensorList seconds,
          at::ArrayRef<double> rates, at::ArrayRef<double> least, at::ArrayRef<double> most, const at::Tensor& paces,
          const c10::optional<at::Tensor>& finite, double beta1, double beta2, double eps) {
  const size_t count = parameters.size();
  const at::Tensor pace = denseFloat(paces, "pace");
  checkAdam(parameters, gradients, firsts, seconds, rates, least, most, pace);
  std::vector<at::Tensor> alive;
  for (size_t from = 0; from < count; from += kTensors) {
    AdamTensors job{};
    int64_t longest = 0;
    const size_t end = std::min(count, from + kTensors);
    for (size_t i = from; i < end; ++i) {
      alive.push_back(alignedDense(denseFloat(gradients[i], "gradient")));
      for (const at::Tensor* tensor : {&parameters[i], &firsts[i], &seconds[i]}) {
        TORCH_CHECK(aligned(*tensor), "parameters and moments must begin at a multiple of 16 bytes");
      }
      const size_t to = i - from;
      job.parameter[to] = writable(parameters[i]);
      job.gradient[to] = floats(alive.back());
      job.first[to] = writable(firsts[i]);
      job.second[to] = writable(seconds[i]);
      job.size[to] = parameters[i].numel();
      job.rate[to] = static_cast<float>(rates[i]);
      job.least[to] = static_cast<float>(least[i]);
      job.most[to] = static_cast<float>(most[i]);
      longest = std::max<int64_t>(longest, parameters[i].numel());
    }
    launch(kOptimiser, "adam", gridFor(longest, 4, static_cast<int64_t>(end - from)), {kThreads}, pace, job,
           floats(pace), finite.has_value() ? floats(*finite) : nullptr, static_cast<float>(beta1),
           static_cast<float>(beta2), static_cast<float>(eps));
  }
}

at::Tensor allFinite(at::TensorList tensors) {
  TORCH_CHECK(!tensors.empty(), "there must be a tensor");
  const at::Tensor finite = at::ones({1}, tensors[0].options().dtype(at::kFloat));
  std::vector<at::Tensor> alive;
  for (size_t from = 0; from < tensors.size(); from += kTensors) {
    Tensors job{};
    int64_t longest = 0;
    const size_t end = std::min(tensors.size(), from + kTensors);
    for (size_t i = from; i < end; ++i) {
      alive.push_back(denseFloat(tensors[i], "tensor"));
      job.at[i - from] = floats(alive.back());
      job.size[i - from] = tensors[i].numel();
      longest = std::max<int64_t>(longest, tensors[i].numel());
    }
    launch(kOptimiser, "all_finite", gridFor(longest, 4, static_cast<int64_t>(end - from)), {kThreads}, finite, job,
           writable(finite));
  }
  return finite;
}

}  // namespace

TORCH_LIBRARY_IMPL(crossblock, CUDA, library) {
  library.impl("adam_", adam);
  library.impl("all_finite", allFinite);
}

}  // namespace crossblock::cuda
#endif
