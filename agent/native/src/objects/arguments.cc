#include "objects/arguments.h"

#include <cmath>

namespace {

Napi::TypeError Expected(Napi::Env env, const char* name, const std::string& what) {
  return Napi::TypeError::New(env, std::string(name) + ": expected " + what);
}

std::string ToString(const Napi::Value& value, const char* name) {
  if (!value.IsString()) throw Expected(value.Env(), name, "a string");
  return value.As<Napi::String>();
}

uint32_t ToUint32(const Napi::Value& value, const char* name) {
  double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= UINT32_MAX) || number != std::floor(number)) {
    throw Expected(value.Env(), name, "an integer from 0 to 4294967295");
  }
  return static_cast<uint32_t>(number);
}

bool ToBoolean(const Napi::Value& value, const char* name) {
  if (!value.IsBoolean()) throw Expected(value.Env(), name, "a boolean");
  return value.As<Napi::Boolean>();
}

}  // namespace

std::string StringArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return ToString(info[index], name);
}

bool BooleanArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return ToBoolean(info[index], name);
}

uint32_t Uint32Argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return ToUint32(info[index], name);
}

Bytes BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  Napi::Value value = info[index];
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Expected(info.Env(), name, "a Uint8Array");
  }
  Napi::Uint8Array array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

Bytes BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name, size_t size) {
  Bytes bytes = BytesArgument(info, index, name);
  if (bytes.size() != size) {
    throw Expected(info.Env(), name, std::to_string(size) + " bytes, got " + std::to_string(bytes.size()));
  }
  return bytes;
}

Napi::Object ObjectArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsObject()) throw Expected(info.Env(), name, "an object");
  return info[index].As<Napi::Object>();
}

std::string StringProperty(const Napi::Object& object, const char* name) { return ToString(object.Get(name), name); }

uint32_t Uint32Property(const Napi::Object& object, const char* name) { return ToUint32(object.Get(name), name); }

uint32_t Uint32Property(const Napi::Object& object, const char* name, uint32_t if_absent) {
  Napi::Value value = object.Get(name);
  return IsPresent(value) ? ToUint32(value, name) : if_absent;
}

bool BooleanProperty(const Napi::Object& object, const char* name, bool if_absent) {
  Napi::Value value = object.Get(name);
  return IsPresent(value) ? ToBoolean(value, name) : if_absent;
}
