// Nodes of the graph whose backward is a JavaScript function.
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <type_traits>

#include "autograd.h"
#include "script_queue.h"

// Gone in 2.15, whose nodes are intrusive pointers; declared so that the untaken branch below has a name to look up.
namespace torch::autograd {
void deleteNode(Node* function);
}

namespace crossblock {

using torch::autograd::variable_list;

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

}  // namespace

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
