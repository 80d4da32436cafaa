// Adam over many tensors in one launch, and the check that allows it.

constexpr int kTensors = 48;

struct AdamTensors {
  float* parameter[kTensors];
  const float* gradient[kTensors];
  float* first[kTensors];
  float* second[kTensors];
  long long size[kTensors];
  float rate[kTensors], least[kTensors], most[kTensors];
};

// pace: [factor of every rate with the first moment's correction in it, root of the second moment's correction].
extern "C" __global__ void adam(AdamTensors tensors, const float* pace, const float* finite, float beta1, float beta2,
                                float eps) {
  if (finite != nullptr && finite[0] == 0) return;
  const int tensor = blockIdx.y;
  const long long size = tensors.size[tensor];
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  const long long thread = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  const float rate = tensors.rate[tensor] * pace[0], root = 1 / pace[1];
  const float least = tensors.least[tensor], most = tensors.most[tensor];
  float* parameter = tensors.parameter[tensor];
  const float* gradient = tensors.gradient[tensor];
  float* first = tensors.first[tensor];
  float* second = tensors.second[tensor];
  auto moved = [&](float& p, float g, float& m, float& v) {
    m = m * beta1 + g * (1 - beta1);
    v = v * beta2 + g * g * (1 - beta2);
    p = bounded(p - rate * __fdividef(m, sqrtf(v) * root + eps), least, most);
  };
  for (long long i = thread * 4; i + 3 < size; i += stride * 4) {
    float p[4], g[4], m[4], v[4];
    loadPack<4>(parameter + i, p);
    loadPack<4>(gradient + i, g);
    loadPack<4>(first + i, m);
    loadPack<4>(second + i, v);
#pragma unroll
    for (int j = 0; j < 4; ++j) moved(p[j], g[j], m[j], v[j]);
    storePack<4>(parameter + i, p);
    storePack<4>(first + i, m);
    storePack<4>(second + i, v);
  }
  const long long last = size / 4 * 4 + thread;
  if (last < size) moved(parameter[last], gradient[last], first[last], second[last]);
}

struct Tensors {
  const float* at[kTensors];
  long long size[kTensors];
};

// Turns `finite`, 1 at the start, to 0 where a number is not.
extern "C" __global__ void all_finite(Tensors tensors, float* finite) {
  const int tensor = blockIdx.y;
  bool fine = true;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < tensors.size[tensor];
       i += static_cast<long long>(gridDim.x) * blockDim.x) {
    fine = fine && isfinite(tensors.at[tensor][i]);
  }
  if (!fine) finite[0] = 0;
}
