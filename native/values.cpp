#include "values.h"

#include <cmath>

namespace crossblock {
namespace {

using c10::TypeKind;

[[noreturn]] void mismatch(Environment& environment, const std::string& argument, const c10::Type& type,
                           const Napi::Value& value) {
  static const char* const kNames[] = {"undefined", "null",   "boolean",  "number",   "string",
                                       "symbol",    "object", "function", "external", "bigint"};
  throw Napi::TypeError::New(environment.env(), "argument '" + argument + "' must be " + type.str() + ", got " +
                                                    kNames[value.Type()]);
}

// JavaScript has one number type; an integral value must stay integral, or integer tensors would
// be promoted to floating point.
at::Scalar toScalar(const Napi::Value& value) {
  if (value.IsBoolean()) {
    return at::Scalar(value.As<Napi::Boolean>().Value());
  }
  if (value.IsBigInt()) {
    bool lossless = true;
    return at::Scalar(value.As<Napi::BigInt>().Int64Value(&lossless));
  }
  const double number = value.As<Napi::Number>().DoubleValue();
  const bool integral = std::nearbyint(number) == number && std::abs(number) < 9007199254740992.0 &&
                        !(number == 0 && std::signbit(number));
  return integral ? at::Scalar(static_cast<int64_t>(number)) : at::Scalar(number);
}

bool isScalar(const Napi::Value& value) { return value.IsNumber() || value.IsBigInt() || value.IsBoolean(); }

template <typename T, typename Convert>
c10::List<T> toList(const Napi::Array& array, Convert convert) {
  c10::List<T> list;
  const uint32_t length = array.Length();
  list.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    list.push_back(convert(array.Get(i)));
  }
  return list;
}

c10::IValue toListValue(Environment& environment, const std::string& argument, const c10::Type& type,
                        const c10::Type& element, const Napi::Value& value) {
  if (!value.IsArray()) {
    mismatch(environment, argument, type, value);
  }
  const Napi::Array array = value.As<Napi::Array>();
  const auto number = [&](const Napi::Value& entry) {
    if (!entry.IsNumber()) {
      mismatch(environment, argument, type, entry);
    }
    return entry.As<Napi::Number>();
  };
  switch (element.kind()) {
    case TypeKind::TensorType:
      return toList<at::Tensor>(array, [&](const Napi::Value& entry) { return tensorOf(environment, entry); });
    case TypeKind::OptionalType:
      return toList<c10::optional<at::Tensor>>(array, [&](const Napi::Value& entry) -> c10::optional<at::Tensor> {
        if (entry.IsNull() || entry.IsUndefined()) {
          return c10::nullopt;
        }
        return tensorOf(environment, entry);
      });
    case TypeKind::IntType:
    case TypeKind::SymIntType:
      return toList<int64_t>(array, [&](const Napi::Value& entry) { return number(entry).Int64Value(); });
    case TypeKind::FloatType:
      return toList<double>(array, [&](const Napi::Value& entry) { return number(entry).DoubleValue(); });
    case TypeKind::BoolType:
      return toList<bool>(array, [&](const Napi::Value& entry) { return entry.ToBoolean().Value(); });
    case TypeKind::NumberType:
      return toList<at::Scalar>(array, [&](const Napi::Value& entry) { return toScalar(entry); });
    default:
      throw Napi::TypeError::New(environment.env(), "argument '" + argument + "' has unsupported type " + type.str());
  }
}

}  // namespace

std::string kindOf(const c10::Type& type) {
  switch (type.kind()) {
    case TypeKind::TensorType:
      return "Tensor";
    case TypeKind::GeneratorType:
      return "Generator";
    case TypeKind::OptionalType: {
      const std::string inner = kindOf(*type.castRaw<c10::OptionalType>()->getElementType());
      return inner == "Tensor" ? "Tensor?" : inner;
    }
    case TypeKind::ListType: {
      const std::string inner = kindOf(*type.castRaw<c10::ListType>()->getElementType());
      return inner == "Tensor" || inner == "Tensor?" ? inner + "[]" : "value";
    }
    default:
      return "value";
  }
}

c10::IValue toIValue(Environment& environment, const std::string& argument, const c10::Type& type,
                     const Napi::Value& value) {
  if (type.kind() == TypeKind::OptionalType) {
    if (value.IsUndefined() || value.IsNull()) {
      return c10::IValue();
    }
    return toIValue(environment, argument, *type.castRaw<c10::OptionalType>()->getElementType(), value);
  }
  switch (type.kind()) {
    case TypeKind::TensorType:
      return tensorOf(environment, value);
    case TypeKind::ListType:
      // A single integer stands for a list in many ATen signatures (dim: int[1]).
      if (value.IsNumber() && type.castRaw<c10::ListType>()->getElementType()->kind() == TypeKind::IntType) {
        return c10::List<int64_t>({value.As<Napi::Number>().Int64Value()});
      }
      return toListValue(environment, argument, type, *type.castRaw<c10::ListType>()->getElementType(), value);
    case TypeKind::IntType:
    case TypeKind::SymIntType:
      if (value.IsNumber()) {
        return value.As<Napi::Number>().Int64Value();
      }
      if (value.IsBigInt()) {
        bool lossless = true;
        return value.As<Napi::BigInt>().Int64Value(&lossless);
      }
      break;
    case TypeKind::FloatType:
      if (value.IsNumber()) {
        return value.As<Napi::Number>().DoubleValue();
      }
      break;
    case TypeKind::BoolType:
      if (value.IsBoolean()) {
        return value.As<Napi::Boolean>().Value();
      }
      break;
    case TypeKind::NumberType:
      if (isScalar(value)) {
        return c10::IValue(toScalar(value));
      }
      break;
    case TypeKind::StringType:
      if (value.IsString()) {
        return value.As<Napi::String>().Utf8Value();
      }
      break;
    case TypeKind::DeviceObjType:
      if (value.IsString()) {
        return c10::Device(value.As<Napi::String>().Utf8Value());
      }
      break;
    case TypeKind::GeneratorType: {
      at::Generator* generator =
          value.IsNumber() ? environment.generators.find(value.As<Napi::Number>().DoubleValue()) : nullptr;
      if (generator != nullptr) {
        return *generator;
      }
      break;
    }
    default:
      throw Napi::TypeError::New(environment.env(), "argument '" + argument + "' has unsupported type " + type.str());
  }
  mismatch(environment, argument, type, value);
}

Napi::Value fromIValue(Environment& environment, const c10::IValue& value) {
  Napi::Env env(environment.env());
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    return tensor.defined() ? Napi::Number::New(env, environment.tensors.insert(tensor)) : env.Null();
  }
  if (value.isNone()) {
    return env.Null();
  }
  if (value.isInt()) {
    return Napi::Number::New(env, static_cast<double>(value.toInt()));
  }
  if (value.isDouble()) {
    return Napi::Number::New(env, value.toDouble());
  }
  if (value.isBool()) {
    return Napi::Boolean::New(env, value.toBool());
  }
  if (value.isScalar()) {
    return Napi::Number::New(env, value.toScalar().toDouble());
  }
  if (value.isString()) {
    return Napi::String::New(env, value.toStringRef());
  }
  if (value.isList() || value.isTensorList()) {
    const auto list = value.toList();
    Napi::Array array = Napi::Array::New(env, list.size());
    for (uint32_t i = 0; i < list.size(); ++i) {
      array.Set(i, fromIValue(environment, list.get(i)));
    }
    return array;
  }
  throw Napi::TypeError::New(env, "result of unsupported type " + value.tagKind());
}

}  // namespace crossblock
