// What the JavaScript classes of one environment have in common.
#pragma once

#include <napi.h>

#include <string>

// The classes of one environment (main thread or worker); its instance data.
struct Classes {
  Napi::FunctionReference object, program, map, link, kernel_btf, ring_reader;

  static Classes& Of(Napi::Env env) { return *env.GetInstanceData<Classes>(); }
};

// An empty instance, for its creator to fill. `new` from JavaScript gives the same: a handle that is closed.
template <typename T>
T* NewInstance(const Napi::FunctionReference& constructor) {
  return T::Unwrap(constructor.New({}));
}

// The native side of an argument. The tag identifies the class, whatever JavaScript did to the prototypes.
template <typename T>
T* UnwrapArgument(const Napi::Value& value, const char* name) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&T::kTypeTag)) {
    throw Napi::TypeError::New(value.Env(), std::string(name) + ": expected a " + T::kClassName);
  }
  return T::Unwrap(value.As<Napi::Object>());
}
