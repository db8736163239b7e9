// What the addon exports: agent/bpf/binding.ts, interface Binding.
#include <bpf/libbpf.h>
#include <napi.h>
#include <time.h>

#include "kernel/grace_period.h"
#include "kernel/kernel_btf.h"
#include "memory.h"
#include "objects/background.h"
#include "objects/bpf_link.h"
#include "objects/bpf_map.h"
#include "objects/bpf_object.h"
#include "objects/bpf_program.h"
#include "objects/error.h"
#include "objects/handles.h"
#include "objects/map_program.h"
#include "objects/perf_event.h"
#include "objects/ring_reader.h"

namespace {

Napi::Value BootTimeNs(const Napi::CallbackInfo& info) {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec);
}

void WaitForRunning(const Napi::CallbackInfo& info) {
  if (int error = WaitForPrograms()) throw BpfFailure(info.Env(), error, "wait for", "running programs");
}

Napi::Value WaitForRunningAsync(const Napi::CallbackInfo& info) {
  auto work = [](int& error) { error = WaitForPrograms(); };
  auto finish = [](Napi::Env env, int& error) {
    if (error) throw BpfFailure(env, error, "wait for", "running programs");
    return env.Undefined();
  };
  return Background<int>::Run(info.Env(), std::make_shared<int>(0), work, finish);
}

Napi::Value PossibleCpus(const Napi::CallbackInfo& info) {
  int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) throw BpfFailure(info.Env(), cpus, "count", "possible CPUs");
  return Napi::Number::New(info.Env(), cpus);
}

Napi::Value LibbpfVersion(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), libbpf_version_string());
}

void ReleaseMemory(const Napi::CallbackInfo&) { ReleaseUnusedMemory(); }

Napi::Value TrimMemoryAsync(const Napi::CallbackInfo& info) {
  struct Nothing {};
  auto work = [](Nothing&) { TrimMemory(); };
  auto finish = [](Napi::Env env, Nothing&) -> Napi::Value { return env.Undefined(); };
  return Background<Nothing>::Run(info.Env(), std::make_shared<Nothing>(), work, finish);
}

Napi::Value UseMapPrograms(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), MapProgram::Enable());
}

Napi::Value TracefsPath(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), TracefsRoot()); }

Classes* DefineClasses(Napi::Env env) {
  return new Classes{
      .object = Napi::Persistent(BpfObject::Define(env)),
      .program = Napi::Persistent(BpfProgram::Define(env)),
      .map = Napi::Persistent(BpfMap::Define(env)),
      .link = Napi::Persistent(BpfLink::Define(env)),
      .kernel_btf = Napi::Persistent(KernelBtf::Define(env)),
      .ring_reader = Napi::Persistent(RingReader::Define(env)),
  };
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  KeepHeapsSmall();
  CaptureLibbpfMessages();
  RegisterTemplateSections();
  env.SetInstanceData(DefineClasses(env));
  exports.Set("openObject", Napi::Function::New<BpfObject::Open>(env, "openObject"));
  exports.Set("createMap", Napi::Function::New<BpfMap::Create>(env, "createMap"));
  exports.Set("loadKernelBtf", Napi::Function::New<KernelBtf::Load>(env, "loadKernelBtf"));
  exports.Set("readRing", Napi::Function::New<RingReader::Read>(env, "readRing"));
  exports.Set("bootTimeNs", Napi::Function::New<BootTimeNs>(env, "bootTimeNs"));
  exports.Set("waitForPrograms", Napi::Function::New<WaitForRunning>(env, "waitForPrograms"));
  exports.Set("waitForProgramsAsync", Napi::Function::New<WaitForRunningAsync>(env, "waitForProgramsAsync"));
  exports.Set("releaseMemory", Napi::Function::New<ReleaseMemory>(env, "releaseMemory"));
  exports.Set("trimMemoryAsync", Napi::Function::New<TrimMemoryAsync>(env, "trimMemoryAsync"));
  exports.Set("useMapPrograms", Napi::Function::New<UseMapPrograms>(env, "useMapPrograms"));
  exports.Set("possibleCpus", Napi::Function::New<PossibleCpus>(env, "possibleCpus"));
  exports.Set("libbpfVersion", Napi::Function::New<LibbpfVersion>(env, "libbpfVersion"));
  exports.Set("tracefsPath", Napi::Function::New<TracefsPath>(env, "tracefsPath"));
  return exports;
}

}  // namespace

NODE_API_MODULE(bpf, Init)
