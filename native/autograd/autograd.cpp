// Gradients: libtorch's engine, and what JavaScript asks of it.
#include "autograd.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <thread>

#include "script_queue.h"

namespace crossblock {

using torch::autograd::variable_list;

variable_list tensorsOf(Environment& environment, const Napi::Value& handles) {
  if (!handles.IsArray()) {
    throw Napi::TypeError::New(environment.env(), "expected an array of tensors");
  }
  variable_list tensors;
  const Napi::Array array = handles.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    tensors.push_back(tensorOf(environment, array.Get(i)));
  }
  return tensors;
}

namespace {

variable_list runGraph(Environment& environment, const variable_list& outputs, variable_list seeds,
                       const variable_list& inputs) {
  torch::autograd::edge_list roots;
  bool device = false;
  for (size_t i = 0; i < outputs.size(); ++i) {
    auto edge = torch::autograd::impl::gradient_edge(outputs[i]);
    TORCH_CHECK(edge.function, "output ", i, " does not require a gradient");
    roots.push_back(std::move(edge));
    if (seeds.size() <= i) {
      TORCH_CHECK(outputs[i].numel() == 1, "a gradient must be given for an output of more than one element");
      seeds.push_back(at::ones_like(outputs[i]));
    }
    device = device || !outputs[i].device().is_cpu();
  }
  torch::autograd::edge_list leaves;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(torch::autograd::impl::gradient_edge(input));
  }
  auto& engine = torch::autograd::Engine::get_default_engine();
  const bool accumulate = inputs.empty();
  if (!device || environment.scriptNodes == 0) {
    return engine.execute(roots, seeds, false, false, accumulate, leaves);
  }
  ScriptQueue queue;
  environment.scriptQueue = &queue;
  variable_list results;
  std::exception_ptr failure;
  // The engine ties what it did to the caller's streams, so its caller must have those of this thread.
  std::vector<c10::Stream> streams;
  for (const at::Tensor& output : outputs) {
    if (!output.device().is_cpu()) {
      streams.push_back(c10::impl::VirtualGuardImpl(output.device().type()).getStream(output.device()));
    }
  }
  std::thread runner([&] {
    for (const c10::Stream& stream : streams) {
      c10::impl::VirtualGuardImpl(stream.device_type()).exchangeStream(stream);
    }
    try {
      results = engine.execute(roots, seeds, false, false, accumulate, leaves);
    } catch (...) {
      failure = std::current_exception();
    }
    queue.finish();
  });
  queue.serve();
  runner.join();
  environment.scriptQueue = nullptr;
  if (failure != nullptr) {
    std::rethrow_exception(failure);
  }
  return results;
}

variable_list execute(Environment& environment, const variable_list& outputs, variable_list seeds,
                      const variable_list& inputs) {
  try {
    return runGraph(environment, outputs, std::move(seeds), inputs);
  } catch (...) {
    if (environment.scriptFailure.IsEmpty()) {
      throw;
    }
    // The very error of the JavaScript backward: whether memory ran out is for its caller to see.
    Napi::Error failure = std::move(environment.scriptFailure);
    throw failure;
  }
}

variable_list seedsOf(Environment& environment, const Napi::Value& handles) {
  return handles.IsNull() || handles.IsUndefined() ? variable_list() : tensorsOf(environment, handles);
}

}  // namespace

Napi::Value setGradEnabled(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    const bool before = at::GradMode::is_enabled();
    at::GradMode::set_enabled(info[0].ToBoolean());
    return Napi::Boolean::New(info.Env(), before);
  });
}

Napi::Value setRequiresGrad(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    tensorOf(environment, info[0]).set_requires_grad(info[1].ToBoolean());
    return info.Env().Undefined();
  });
}

Napi::Value gradOf(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    const at::Tensor& gradient = tensorOf(environment, info[0]).grad();
    if (!gradient.defined()) {
      return info.Env().Null();
    }
    return Napi::Number::New(info.Env(), environment.tensors.insert(gradient));
  });
}

Napi::Value clearGrad(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    tensorOf(environment, info[0]).mutable_grad().reset();
    return info.Env().Undefined();
  });
}

Napi::Value backward(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    execute(environment, tensorsOf(environment, info[0]), seedsOf(environment, info[1]), {});
    return info.Env().Undefined();
  });
}

Napi::Value gradients(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    const variable_list inputs = tensorsOf(environment, info[2]);
    TORCH_CHECK(!inputs.empty(), "gradients need at least one input");
    const variable_list results =
        execute(environment, tensorsOf(environment, info[0]), seedsOf(environment, info[1]), inputs);
    Napi::Array handles = Napi::Array::New(info.Env(), results.size());
    for (uint32_t i = 0; i < results.size(); ++i) {
      handles.Set(i, results[i].defined()
                         ? Napi::Value(Napi::Number::New(info.Env(), environment.tensors.insert(results[i])))
                         : info.Env().Null());
    }
    return handles;
  });
}

}  // namespace crossblock
