#include "objects/bpf_link.h"

#include <bpf/bpf.h>

#include <memory>

#include "objects/background.h"
#include "objects/handles.h"

namespace {

// struct bpf_link_info of the kernel for a link to the perf event of a kprobe, which older headers do not have.
struct KprobeLinkInfo {
  uint32_t type;
  uint32_t id;
  uint32_t prog_id;
  uint32_t padding;
  uint32_t event_type;
  uint32_t event_padding;
  uint64_t func_name;
  uint32_t name_len;
  uint32_t offset;
  uint64_t addr;
  uint64_t missed;  // since 6.7
};

constexpr uint32_t kPerfEventLink = 7;  // BPF_LINK_TYPE_PERF_EVENT
constexpr uint32_t kKprobeEvent = 3;    // BPF_PERF_EVENT_KPROBE
constexpr uint32_t kKretprobeEvent = 4;

// Runs that the kernel reports as missed by the probe; 0 if it reports none.
uint64_t ReadMissed(const UniqueFd& link) {
  KprobeLinkInfo info = {};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(link.get(), &info, &size) < 0 || info.type != kPerfEventLink) return 0;
  bool is_kprobe = info.event_type == kKprobeEvent || info.event_type == kKretprobeEvent;
  return is_kprobe ? info.missed : 0;
}

}  // namespace

Napi::Function BpfLink::Define(Napi::Env env) {
  return DefineClass(env, kClassName,
                     {InstanceMethod<&BpfLink::Missed>("missed"), InstanceMethod<&BpfLink::Close>("close"),
                      InstanceMethod<&BpfLink::CloseAsync>("closeAsync")});
}

Napi::Value BpfLink::Wrap(Napi::Env env, UniqueFd link, UniqueFd perf_event) {
  BpfLink* wrapped = NewInstance<BpfLink>(Classes::Of(env).link);
  wrapped->link_ = std::move(link);
  wrapped->perf_event_ = std::move(perf_event);
  return wrapped->Value();
}

BpfLink::BpfLink(const Napi::CallbackInfo& info) : Napi::ObjectWrap<BpfLink>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

Napi::Value BpfLink::Missed(const Napi::CallbackInfo& info) {
  if (link_) missed_ = ReadMissed(link_);
  return Napi::Number::New(info.Env(), static_cast<double>(missed_));
}

void BpfLink::Close(const Napi::CallbackInfo&) {
  if (link_) missed_ = ReadMissed(link_);
  link_.Reset();
  perf_event_.Reset();
}

Napi::Value BpfLink::CloseAsync(const Napi::CallbackInfo& info) {
  struct Descriptors {
    UniqueFd link;
    UniqueFd perf_event;
  };
  if (link_) missed_ = ReadMissed(link_);
  auto job = std::make_shared<Descriptors>(Descriptors{std::move(link_), std::move(perf_event_)});
  auto work = [](Descriptors& descriptors) {
    descriptors.link.Reset();
    descriptors.perf_event.Reset();
  };
  auto finish = [](Napi::Env env, Descriptors&) -> Napi::Value { return env.Undefined(); };
  return Background<Descriptors>::Run(info.Env(), std::move(job), work, finish);
}
