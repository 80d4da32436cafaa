#include "dispatch.h"

#include "values.h"

namespace crossblock {

Napi::Value findOperator(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    Napi::Env env = info.Env();
    const std::string name = info[0].As<Napi::String>();
    const std::string overload = info[1].As<Napi::String>();
    const auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
    if (!handle.has_value()) {
      return env.Null();
    }
    const c10::FunctionSchema& schema = handle->schema();
    Napi::Array arguments = Napi::Array::New(env, schema.arguments().size());
    for (uint32_t i = 0; i < schema.arguments().size(); ++i) {
      const c10::Argument& argument = schema.arguments()[i];
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("name", argument.name());
      entry.Set("kind", kindOf(*argument.type()));
      arguments.Set(i, entry);
    }
    Napi::Array returns = Napi::Array::New(env, schema.returns().size());
    for (uint32_t i = 0; i < schema.returns().size(); ++i) {
      returns.Set(i, Napi::String::New(env, kindOf(*schema.returns()[i].type())));
    }
    Napi::Object result = Napi::Object::New(env);
    result.Set("id", Napi::Number::New(env, static_cast<double>(environment.operators.size())));
    result.Set("arguments", arguments);
    result.Set("returns", returns);
    Napi::Array devices = Napi::Array::New(env);
    for (const auto& [name, key] : {std::pair{"cpu", c10::DispatchKey::CPU}, std::pair{"cuda", c10::DispatchKey::CUDA}}) {
      if (handle->hasKernelForDispatchKey(key)) {
        devices.Set(devices.Length(), Napi::String::New(env, name));
      }
    }
    result.Set("devices", devices);
    environment.operators.push_back({*handle, name});
    return result;
  });
}

Napi::Value callOperator(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    Napi::Env env = info.Env();
    const double id = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
    if (!(id >= 0 && id < static_cast<double>(environment.operators.size()))) {
      throw Napi::TypeError::New(env, "unknown operator id");
    }
    if (!info[1].IsArray()) {
      throw Napi::TypeError::New(env, "positional arguments must be an array");
    }
    const Operator& op = environment.operators[static_cast<size_t>(id)];
    const auto& declared = op.handle.schema().arguments();
    const Napi::Array given = info[1].As<Napi::Array>();
    if (given.Length() > declared.size()) {
      throw Napi::TypeError::New(env, "takes " + std::to_string(declared.size()) + " arguments, got " +
                                          std::to_string(given.Length()));
    }
    const bool hasKeywords = info[2].IsObject();
    torch::jit::Stack stack;
    stack.reserve(declared.size());
    for (uint32_t i = 0; i < declared.size(); ++i) {
      const c10::Argument& argument = declared[i];
      Napi::Value value = i < given.Length() ? given.Get(i) : env.Undefined();
      if (hasKeywords && value.IsUndefined()) {
        value = info[2].As<Napi::Object>().Get(argument.name());
      }
      if (value.IsUndefined() && argument.default_value().has_value()) {
        stack.push_back(*argument.default_value());
      } else {
        stack.push_back(toIValue(environment, argument.name(), *argument.type(), value));
      }
    }
    op.handle.callBoxed(&stack);
    if (info[3].ToBoolean()) {
      return env.Undefined();
    }
    if (stack.size() == 1) {
      return fromIValue(environment, stack[0]);
    }
    Napi::Array results = Napi::Array::New(env, stack.size());
    for (uint32_t i = 0; i < stack.size(); ++i) {
      results.Set(i, fromIValue(environment, stack[i]));
    }
    return results;
  });
}

}  // namespace crossblock
