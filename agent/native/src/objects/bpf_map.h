// A BPF map: one file descriptor and what is needed to size its keys and values.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "objects/map_program.h"
#include "objects/mapped_array.h"
#include "objects/unique_fd.h"

class BpfMap : public Napi::ObjectWrap<BpfMap> {
 public:
  static constexpr const char* kClassName = "BpfMap";
  static constexpr napi_type_tag kTypeTag = {0x7c1c44d1f2b04a10, 0x9d0f6d6ce0a90b01};

  static Napi::Function Define(Napi::Env env);
  static Napi::Value Create(const Napi::CallbackInfo& info);
  // Takes the descriptor, and reads the shape from the kernel.
  static Napi::Value Wrap(Napi::Env env, UniqueFd fd, std::string name);

  explicit BpfMap(const Napi::CallbackInfo& info);

  // Throws EBADF after close().
  int Fd(const char* step) const;
  const std::string& name() const { return name_; }
  // The value of a frozen array of one element.
  std::optional<std::vector<uint8_t>> ConstantValue() const;

 private:
  Napi::Value Lookup(const Napi::CallbackInfo& info);
  void Update(const Napi::CallbackInfo& info);
  Napi::Value Delete(const Napi::CallbackInfo& info);
  Napi::Value Keys(const Napi::CallbackInfo& info);
  void Freeze(const Napi::CallbackInfo& info);
  Napi::Value Memlock(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  Napi::Value Name(const Napi::CallbackInfo& info);
  Napi::Value KeySize(const Napi::CallbackInfo& info);
  Napi::Value ValueSize(const Napi::CallbackInfo& info);
  Napi::Value MaxEntries(const Napi::CallbackInfo& info);

  // 0 or an errno. Without the bpf() system call, where MapProgram is enabled and there is another way.
  int Read(const void* key, void* value) const;
  int Write(const void* key, const void* value);
  int Remove(const void* key);
  // The program of this map; none where the system call has to do it.
  MapProgram* Program() const;
  MapProgram* ProgramForWriting() const;
  bool IsMappable() const;
  // Of the element with this key; null, with the errno, if there is none or it cannot be mapped.
  uint8_t* Mapped(const void* key, bool writable, int& error) const;

  UniqueFd fd_;
  std::string name_;
  MapShape shape_;
  bool frozen_ = false;  // by this handle
  mutable bool program_tried_ = false;
  mutable std::unique_ptr<MapProgram> program_;
  mutable ArrayMapping mapping_;
};
