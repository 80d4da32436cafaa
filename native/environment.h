// What one JavaScript environment (the main thread, or a worker) owns in the addon.
#pragma once

// A worker that is terminated can run no more JavaScript, exceptions included; without this the wrappers abort the
// whole process when they try to throw one.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace crossblock {

// A table of values that JavaScript names by number. A handle holds the slot and the slot's
// generation, so a disposed handle or one of another environment is recognised, never followed.
template <typename T>
class HandleTable {
 public:
  double insert(T value) {
    uint32_t slot;
    if (free_.empty()) {
      slot = static_cast<uint32_t>(entries_.size());
      entries_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    entries_[slot].value = std::move(value);
    entries_[slot].live = true;
    ++live_;
    return static_cast<double>(entries_[slot].generation) * kSlots + slot;
  }

  T* find(double handle) {
    if (!(handle >= 0) || handle >= 9007199254740992.0) {
      return nullptr;
    }
    const auto number = static_cast<uint64_t>(handle);
    const uint64_t slot = number % kSlots;
    if (slot >= entries_.size() || !entries_[slot].live || entries_[slot].generation != number / kSlots) {
      return nullptr;
    }
    return &entries_[slot].value;
  }

  bool erase(double handle) {
    if (find(handle) == nullptr) {
      return false;
    }
    const auto slot = static_cast<uint32_t>(static_cast<uint64_t>(handle) % kSlots);
    entries_[slot].value = T();
    entries_[slot].live = false;
    ++entries_[slot].generation;
    free_.push_back(slot);
    --live_;
    return true;
  }

  size_t live() const { return live_; }

 private:
  static constexpr uint64_t kSlots = 1u << 24;
  struct Entry {
    T value{};
    uint32_t generation = 1;
    bool live = false;
  };
  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;
  size_t live_ = 0;
};

struct Operator {
  c10::OperatorHandle handle;
  std::string name;
};

class ScriptQueue;
class ReadAhead;

class Environment : public std::enable_shared_from_this<Environment> {
 public:
  explicit Environment(napi_env env) : env_(env), thread_(std::this_thread::get_id()) {}

  static Environment& of(const Napi::Env& env) { return **env.GetInstanceData<std::shared_ptr<Environment>>(); }

  napi_env env() const { return env_; }
  bool onScriptThread() const { return std::this_thread::get_id() == thread_; }

  // References may be dropped by any thread (a tensor's deleter, a graph node's destructor); the
  // script thread deletes them at its next call.
  void deferRelease(napi_ref reference);
  void drainReleases();

  HandleTable<at::Tensor> tensors;
  HandleTable<at::Generator> generators;
  std::vector<Operator> operators;
  // Where device threads leave JavaScript callbacks while the script thread waits in backward().
  ScriptQueue* scriptQueue = nullptr;
  // What a JavaScript backward threw, until backward() throws it on.
  Napi::Error scriptFailure;
  std::atomic<size_t> scriptNodes{0};
  // The bytes that were asked for last; its destructor ends the asking.
  std::shared_ptr<ReadAhead> readAhead;

 private:
  napi_env env_;
  std::thread::id thread_;
  std::mutex releaseMutex_;
  std::vector<napi_ref> releases_;
};

// Throws a JavaScript TypeError when the handle is not one of a live tensor of this environment.
at::Tensor& tensorOf(Environment& environment, const Napi::Value& handle);

// Runs `body` and turns every C++ exception into a JavaScript error with one line of cause.
Napi::Value guarded(const Napi::CallbackInfo& info, const std::function<Napi::Value(Environment&)>& body);

}  // namespace crossblock
