#include "environment.h"

#include <c10/util/Exception.h>


namespace crossblock {

void Environment::deferRelease(napi_ref reference) {
  std::lock_guard<std::mutex> lock(releaseMutex_);
  releases_.push_back(reference);
}

void Environment::drainReleases() {
  std::vector<napi_ref> ready;
  {
    std::lock_guard<std::mutex> lock(releaseMutex_);
    ready.swap(releases_);
  }
  for (napi_ref reference : ready) {
    napi_delete_reference(env_, reference);
  }
}

at::Tensor& tensorOf(Environment& environment, const Napi::Value& handle) {
  at::Tensor* tensor = handle.IsNumber() ? environment.tensors.find(handle.As<Napi::Number>().DoubleValue()) : nullptr;
  if (tensor == nullptr) {
    throw Napi::TypeError::New(environment.env(), "tensor was disposed, or belongs to another thread");
  }
  return *tensor;
}

namespace {

// libtorch puts the C++ stack and hints for Python users below the first line.
std::string firstLine(const std::string& text) {
  const size_t end = text.find('\n');
  return end == std::string::npos ? text : text.substr(0, end);
}

[[noreturn]] void throwScriptError(napi_env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, firstLine(message));
  error.Set("code", Napi::String::New(env, code));
  throw error;
}

}  // namespace

Napi::Value guarded(const Napi::CallbackInfo& info, const std::function<Napi::Value(Environment&)>& body) {
  Environment& environment = Environment::of(info.Env());
  environment.drainReleases();
  try {
    return body(environment);
  } catch (const Napi::Error&) {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    throwScriptError(info.Env(), "OUT_OF_MEMORY", error.what_without_backtrace());
  } catch (const c10::Error& error) {
    throwScriptError(info.Env(), "OPERATOR", error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    throwScriptError(info.Env(), "OUT_OF_MEMORY", "host memory is exhausted");
  } catch (const std::exception& error) {
    throwScriptError(info.Env(), "OPERATOR", error.what());
  } catch (...) {
    throwScriptError(info.Env(), "OPERATOR", "unknown C++ exception");
  }
}

}  // namespace crossblock
