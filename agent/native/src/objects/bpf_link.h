// An attached program: closing the descriptors detaches it.
#pragma once

#include <napi.h>

#include <cstdint>

#include "objects/unique_fd.h"

class BpfLink : public Napi::ObjectWrap<BpfLink> {
 public:
  static constexpr const char* kClassName = "BpfLink";
  static constexpr napi_type_tag kTypeTag = {0x7c1c44d1f2b04a10, 0x9d0f6d6ce0a90b02};

  static Napi::Function Define(Napi::Env env);
  // `link` may be absent: before 5.15 a program is attached to a perf event by the event itself.
  static Napi::Value Wrap(Napi::Env env, UniqueFd link, UniqueFd perf_event = {});

  explicit BpfLink(const Napi::CallbackInfo& info);

 private:
  Napi::Value Missed(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  Napi::Value CloseAsync(const Napi::CallbackInfo& info);

  uint64_t missed_ = 0;  // as it was last read
  UniqueFd perf_event_;
  UniqueFd link_;  // closed first when the collector gets here before close()
};
