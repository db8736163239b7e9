// The types of the running kernel.
#pragma once

#include <bpf/btf.h>
#include <napi.h>

#include <memory>
#include <optional>
#include <string>

#include "kernel/name_index.h"

// Types with their index, or why they cannot be read.
struct ParsedBtf {
  // From any thread.
  static ParsedBtf Read(const std::string& path, bool custom);
  Napi::Error Failure(Napi::Env env, const std::string& path) const;
  void BuildIndex(const btf* base);

  std::shared_ptr<btf> types;  // null: not read
  // A struct without a tag has the name of its typedef, and is found by that one's id.
  NameIndex functions, structs, enums;
  int error = 0;
  bool is_absent = false;  // the kernel has none
  std::string hint, libbpf_log;

 private:
  void IndexType(uint32_t id);
};

class KernelBtf : public Napi::ObjectWrap<KernelBtf> {
 public:
  static constexpr const char* kClassName = "KernelBtf";
  static constexpr napi_type_tag kTypeTag = {0x7c1c44d1f2b04a10, 0x9d0f6d6ce0a90b05};

  static Napi::Function Define(Napi::Env env);
  static Napi::Value Load(const Napi::CallbackInfo& info);

  explicit KernelBtf(const Napi::CallbackInfo& info);

 private:
  Napi::Value FuncProto(const Napi::CallbackInfo& info);
  Napi::Value TracepointProto(const Napi::CallbackInfo& info);
  Napi::Value Module(const Napi::CallbackInfo& info);
  Napi::Value StructId(const Napi::CallbackInfo& info);
  Napi::Value DescribeType(const Napi::CallbackInfo& info);
  Napi::Value HasStruct(const Napi::CallbackInfo& info);
  Napi::Value EnumValue(const Napi::CallbackInfo& info);
  Napi::Value StructMember(const Napi::CallbackInfo& info);
  Napi::Value ReadAsync(const Napi::CallbackInfo& info);
  void Release(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  static KernelBtf* Make(Napi::Env env, std::string path, ParsedBtf parsed, std::shared_ptr<btf> base);
  // Throws if they could not be read.
  void Take(ParsedBtf parsed);
  void Free();
  // Reads the types again if they were released.
  const btf* Types(const char* step);
  // A struct or union by its tag, or by a typedef's name where it has no tag.
  std::optional<uint32_t> FindStruct(const std::string& name) const;

  std::string path_;
  bool custom_ = false;  // path_ is a file, not a name
  bool closed_ = true;
  std::shared_ptr<btf> base_;  // of a module: the kernel's types, which its own refer to
  ParsedBtf parsed_;           // without types: released or closed
};
