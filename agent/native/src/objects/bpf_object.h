// A BPF object file.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "objects/program_image.h"

class BpfObject : public Napi::ObjectWrap<BpfObject> {
 public:
  static constexpr const char* kClassName = "BpfObject";
  static constexpr napi_type_tag kTypeTag = {0x7c1c44d1f2b04a10, 0x9d0f6d6ce0a90b04};

  static Napi::Function Define(Napi::Env env);
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit BpfObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value ProgramNames(const Napi::CallbackInfo& info);
  Napi::Value MapNames(const Napi::CallbackInfo& info);
  void SetAutoload(const Napi::CallbackInfo& info);
  void SetMaxEntries(const Napi::CallbackInfo& info);
  void SetInitialValue(const Napi::CallbackInfo& info);
  void Load(const Napi::CallbackInfo& info);
  Napi::Value Map(const Napi::CallbackInfo& info);
  Napi::Value Program(const Napi::CallbackInfo& info);
  Napi::Value StructLayout(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  OpenObject& Opened(const char* step) const;
  OpenObject& BeforeLoad(const char* step) const;
  OpenObject& Loaded(const char* step) const;
  bpf_map* FindMap(const OpenObject& opened, const std::string& name) const;

  std::string path_;
  std::shared_ptr<OpenObject> opened_;  // null: closed
};
