// Arguments from JavaScript: each is checked here, so that a wrong call is a TypeError and never a wild pointer.
#pragma once

#include <napi.h>

#include <cstdint>
#include <span>
#include <string>

using Bytes = std::span<const uint8_t>;

std::string StringArgument(const Napi::CallbackInfo& info, size_t index, const char* name);
bool BooleanArgument(const Napi::CallbackInfo& info, size_t index, const char* name);
uint32_t Uint32Argument(const Napi::CallbackInfo& info, size_t index, const char* name);
// Valid until control returns to JavaScript.
Bytes BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name);
// A buffer of exactly this size.
Bytes BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name, size_t size);
Napi::Object ObjectArgument(const Napi::CallbackInfo& info, size_t index, const char* name);

std::string StringProperty(const Napi::Object& object, const char* name);
uint32_t Uint32Property(const Napi::Object& object, const char* name);
uint32_t Uint32Property(const Napi::Object& object, const char* name, uint32_t if_absent);
bool BooleanProperty(const Napi::Object& object, const char* name, bool if_absent);

inline bool IsPresent(const Napi::Value& value) { return !value.IsUndefined() && !value.IsNull(); }
