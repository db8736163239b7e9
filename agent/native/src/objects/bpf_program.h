// A loaded program, or a template that only clone() loads.
#pragma once

#include <linux/bpf.h>
#include <napi.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "objects/bpf_map.h"
#include "objects/program_image.h"
#include "objects/unique_fd.h"

struct CloneJob;
struct LinkJob;

class BpfProgram : public Napi::ObjectWrap<BpfProgram> {
 public:
  static constexpr const char* kClassName = "BpfProgram";
  static constexpr napi_type_tag kTypeTag = {0x7c1c44d1f2b04a10, 0x9d0f6d6ce0a90b03};

  static Napi::Function Define(Napi::Env env);
  // The program of a loaded object.
  static Napi::Value Find(Napi::Env env, std::shared_ptr<OpenObject> object, const std::string& name);

  static Napi::Value Wrap(Napi::Env env, UniqueFd fd, std::string name, bpf_attach_type attach_type,
                          std::shared_ptr<const ProgramImage> image);

  explicit BpfProgram(const Napi::CallbackInfo& info);

 private:
  Napi::Value InstructionCount(const Napi::CallbackInfo& info);
  Napi::Value Clone(const Napi::CallbackInfo& info);
  Napi::Value CloneAsync(const Napi::CallbackInfo& info);
  using MakeLinkJob = std::shared_ptr<LinkJob> (BpfProgram::*)(const Napi::CallbackInfo&) const;
  template <MakeLinkJob kMake>
  Napi::Value Attach(const Napi::CallbackInfo& info);
  template <MakeLinkJob kMake>
  Napi::Value AttachAsync(const Napi::CallbackInfo& info);
  Napi::Value TestRun(const Napi::CallbackInfo& info);
  Napi::Value RunIterator(const Napi::CallbackInfo& info);
  Napi::Value Info(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  Napi::Value Name(const Napi::CallbackInfo& info);
  Napi::Value FdNumber(const Napi::CallbackInfo& info);

  const ProgramImage& Image(const char* step) const;
  // Throws when the program is closed or was never loaded itself.
  int LoadedFd(const char* step) const;
  std::shared_ptr<CloneJob> MakeCloneJob(const Napi::CallbackInfo& info) const;
  // What opens a link of this program, with a descriptor of its own: the program may be closed meanwhile.
  std::shared_ptr<LinkJob> LinkJobFor(const char* step, std::string subject) const;
  std::shared_ptr<LinkJob> RawTracepointJob(const Napi::CallbackInfo& info) const;
  std::shared_ptr<LinkJob> TracingJob(const Napi::CallbackInfo& info) const;
  std::shared_ptr<LinkJob> KprobeJob(const Napi::CallbackInfo& info) const;
  std::shared_ptr<LinkJob> TracepointJob(const Napi::CallbackInfo& info) const;
  std::unordered_map<int, BpfMap*> MapReplacements(const Napi::Value& maps) const;

  std::string name_;
  std::shared_ptr<const ProgramImage> image_;  // null: closed
  UniqueFd fd_;                                // invalid: closed, or a template
  bpf_attach_type attach_type_ = static_cast<bpf_attach_type>(0);
};
