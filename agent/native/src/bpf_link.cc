#include "bpf_link.h"

#include "handles.h"

Napi::Function BpfLink::Define(Napi::Env env) {
  return DefineClass(env, kClassName, {InstanceMethod<&BpfLink::Close>("close")});
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

void BpfLink::Close(const Napi::CallbackInfo&) {
  link_.Reset();
  perf_event_.Reset();
}
