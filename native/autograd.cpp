#include "autograd.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <condition_variable>
#include <deque>
#include <type_traits>

// Gone in 2.15, whose nodes are intrusive pointers; declared so that the untaken branch below has a name to look up.
namespace torch::autograd {
void deleteNode(Node* function);
}

namespace crossblock {

using torch::autograd::variable_list;

// Engine threads of other devices can't run JavaScript: they leave the work here and wait, while
// the script thread, which is inside backward(), does it.
class ScriptQueue {
 public:
  void run(const std::function<void()>& work) {
    std::unique_lock<std::mutex> lock(mutex_);
    Request request{&work, false, nullptr};
    requests_.push_back(&request);
    wake_.notify_all();
    wake_.wait(lock, [&] { return request.done; });
    if (request.error != nullptr) {
      std::rethrow_exception(request.error);
    }
  }

  void finish() {
    std::lock_guard<std::mutex> lock(mutex_);
    finished_ = true;
    wake_.notify_all();
  }

  void serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return finished_ || !requests_.empty(); });
      if (requests_.empty()) {
        return;
      }
      Request* request = requests_.front();
      requests_.pop_front();
      lock.unlock();
      try {
        (*request->work)();
      } catch (...) {
        request->error = std::current_exception();
      }
      lock.lock();
      request->done = true;
      wake_.notify_all();
    }
  }

 private:
  struct Request {
    const std::function<void()>* work;
    bool done;
    std::exception_ptr error;
  };
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Request*> requests_;
  bool finished_ = false;
};

namespace {

/** How this libtorch holds a node: a shared or an intrusive pointer. */
using NodeHandle = decltype(torch::autograd::Edge::function);

// Made the way libtorch makes its own nodes, so that a long graph is freed without recursion.
template <typename Handle, typename Node>
Handle adoptNode(Node* node) {
  if constexpr (std::is_constructible_v<Handle, Node*, void (*)(torch::autograd::Node*)>) {
    return Handle(node, torch::autograd::deleteNode);
  } else {
    return Handle::unsafe_steal_from_new(node);
  }
}

class ScriptNode : public torch::autograd::Node {
 public:
  ScriptNode(std::shared_ptr<Environment> environment, variable_list saved, napi_ref callback)
      : environment_(std::move(environment)), saved_(std::move(saved)), callback_(callback) {
    ++environment_->scriptNodes;
  }

  ~ScriptNode() override {
    --environment_->scriptNodes;
    environment_->deferRelease(callback_);
  }

  variable_list apply(variable_list&& gradients) override {
    variable_list results;
    const std::function<void()> work = [&] { results = call(gradients[0]); };
    if (environment_->onScriptThread()) {
      work();
    } else {
      TORCH_CHECK(environment_->scriptQueue != nullptr, "a JavaScript backward ran outside backward()");
      environment_->scriptQueue->run(work);
    }
    return results;
  }

  std::string name() const override { return "ScriptNode"; }

 private:
  variable_list call(const at::Tensor& gradient) {
    Napi::Env env(environment_->env());
    Napi::HandleScope scope(env);
    at::AutoGradMode noGradient(false);
    napi_value function = nullptr;
    napi_get_reference_value(env, callback_, &function);
    Napi::Value given = env.Null();
    if (gradient.defined()) {
      given = Napi::Number::New(env, environment_->tensors.insert(gradient));
    }
    Napi::Array saved = Napi::Array::New(env, saved_.size());
    for (uint32_t i = 0; i < saved_.size(); ++i) {
      saved.Set(i, Napi::Number::New(env, environment_->tensors.insert(saved_[i])));
    }
    // A JavaScript exception belongs to the script thread, and can't unwind through libtorch's engine: it waits, and an
    // exception of libtorch's own ends the graph.
    bool failed = false;
    variable_list results(num_outputs());
    try {
      const Napi::Array returned = Napi::Function(env, function).Call({given, saved}).As<Napi::Array>();
      for (uint32_t i = 0; i < results.size(); ++i) {
        const Napi::Value handle = returned.Get(i);
        if (handle.IsNumber()) {
          results[i] = tensorOf(*environment_, handle);
          environment_->tensors.erase(handle.As<Napi::Number>().DoubleValue());
        }
      }
    } catch (Napi::Error& error) {
      // In a worker that is being terminated the error holds nothing.
      environment_->scriptFailure = std::move(error);
      failed = true;
    }
    TORCH_CHECK(!failed, "JavaScript backward failed");
    return results;
  }

  std::shared_ptr<Environment> environment_;
  variable_list saved_;
  napi_ref callback_;
};

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

Napi::Value attachBackward(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    at::Tensor& output = tensorOf(environment, info[0]);
    const variable_list inputs = tensorsOf(environment, info[1]);
    variable_list saved;
    for (const at::Tensor& tensor : tensorsOf(environment, info[2])) {
      // Detached: an input or the output itself would tie the graph into a cycle.
      saved.push_back(tensor.detach());
    }
    if (!info[3].IsFunction()) {
      throw Napi::TypeError::New(info.Env(), "attachBackward needs a function");
    }
    TORCH_CHECK(output.is_leaf() && !output.requires_grad(), "the output must be computed without gradients");
    napi_ref callback = nullptr;
    napi_create_reference(info.Env(), info[3], 1, &callback);
    const auto node = adoptNode<NodeHandle>(
        new ScriptNode(environment.shared_from_this(), std::move(saved), callback));
    node->set_next_edges(torch::autograd::collect_next_edges(inputs));
    torch::autograd::create_gradient_edge(output, node);
    return info.Env().Undefined();
  });
}

}  // namespace crossblock
