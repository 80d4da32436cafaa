#include "memory/storage.h"

namespace crossblock {

Napi::Value fromBuffer(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    Napi::Env env = info.Env();
    if (!info[0].IsArrayBuffer() || !info[1].IsNumber() || !info[2].IsArray() || !info[3].IsNumber()) {
      throw Napi::TypeError::New(env, "fromBuffer takes (ArrayBuffer, byteOffset, shape, dtype)");
    }
    Napi::ArrayBuffer buffer = info[0].As<Napi::ArrayBuffer>();
    const int64_t offset = info[1].As<Napi::Number>().Int64Value();
    const Napi::Array dimensions = info[2].As<Napi::Array>();
    const auto dtype = static_cast<at::ScalarType>(info[3].As<Napi::Number>().Int32Value());
    const auto length = static_cast<int64_t>(buffer.ByteLength());
    TORCH_CHECK(offset >= 0 && offset <= length, "offset ", offset, " lies outside the buffer of ", length, " bytes");
    std::vector<int64_t> shape;
    bool empty = false;
    for (uint32_t i = 0; i < dimensions.Length(); ++i) {
      shape.push_back(dimensions.Get(i).As<Napi::Number>().Int64Value());
      TORCH_CHECK(shape.back() >= 0, "negative dimension in shape");
      empty = empty || shape.back() == 0;
    }
    // Divided, not multiplied: the product of hostile dimensions wraps around to a small number.
    int64_t room = (length - offset) / static_cast<int64_t>(c10::elementSize(dtype));
    for (const int64_t size : shape) {
      TORCH_CHECK(empty ? size <= INT32_MAX : size <= room, "a tensor of shape ", c10::IntArrayRef(shape), " and dtype ",
                  dtype, " does not fit ", length - offset, " bytes");
      room = empty ? room : room / size;
    }
    TORCH_CHECK(empty || room > 0, "a tensor of shape [] and dtype ", dtype, " does not fit ", length - offset, " bytes");
    napi_ref reference = nullptr;
    napi_create_reference(env, buffer, 1, &reference);
    const std::shared_ptr<Environment> owner = environment.shared_from_this();
    const at::Tensor tensor =
        at::from_blob(static_cast<uint8_t*>(buffer.Data()) + offset, shape,
                      [owner, reference](void*) { owner->deferRelease(reference); }, at::TensorOptions().dtype(dtype));
    return Napi::Number::New(env, environment.tensors.insert(tensor));
  });
}

Napi::Value toBuffer(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    const at::Tensor& tensor = tensorOf(environment, info[0]);
    TORCH_CHECK(tensor.device().is_cpu() && tensor.is_contiguous(), "only a contiguous CPU tensor can be viewed");
    if (tensor.nbytes() == 0) {
      return Napi::ArrayBuffer::New(info.Env(), 0);
    }
    return Napi::ArrayBuffer::New(
        info.Env(), tensor.data_ptr(), tensor.nbytes(), [](Napi::Env, void*, at::Tensor* kept) { delete kept; },
        new at::Tensor(tensor));
  });
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    Napi::Env env = info.Env();
    const at::Tensor& tensor = tensorOf(environment, info[0]);
    Napi::Array shape = Napi::Array::New(env, static_cast<size_t>(tensor.dim()));
    for (uint32_t i = 0; i < static_cast<uint32_t>(tensor.dim()); ++i) {
      shape.Set(i, Napi::Number::New(env, static_cast<double>(tensor.size(i))));
    }
    Napi::Object result = Napi::Object::New(env);
    result.Set("shape", shape);
    result.Set("dtype", Napi::Number::New(env, static_cast<double>(tensor.scalar_type())));
    result.Set("device", Napi::String::New(env, tensor.device().str()));
    result.Set("requiresGrad", Napi::Boolean::New(env, tensor.requires_grad()));
    return result;
  });
}

Napi::Value release(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    const bool live = info[0].IsNumber() && environment.tensors.erase(info[0].As<Napi::Number>().DoubleValue());
    return Napi::Boolean::New(info.Env(), live);
  });
}

Napi::Value liveTensors(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(environment.tensors.live()));
  });
}

}  // namespace crossblock
