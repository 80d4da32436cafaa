// JavaScript values to libtorch's IValues and back, steered by the operator's own schema.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include "environment.h"

namespace crossblock {

// "Tensor", "Tensor?", "Tensor[]", "Tensor?[]", "Generator" or "value": what TypeScript must know.
std::string kindOf(const c10::Type& type);

c10::IValue toIValue(Environment& environment, const std::string& argument, const c10::Type& type,
                     const Napi::Value& value);

Napi::Value fromIValue(Environment& environment, const c10::IValue& value);

}  // namespace crossblock
