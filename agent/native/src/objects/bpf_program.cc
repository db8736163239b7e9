#include "objects/bpf_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "objects/arguments.h"
#include "objects/background.h"
#include "objects/bpf_link.h"
#include "objects/bpf_map.h"
#include "objects/error.h"
#include "objects/fdinfo.h"
#include "objects/handles.h"
#include "objects/perf_event.h"
#include "objects/program_load.h"
#include "optimizer/specialize.h"

namespace {

std::span<const bpf_insn> Instructions(const OpenObject& object, const bpf_program* program) {
  auto found = object.templates.find(bpf_program__name(program));
  if (found != object.templates.end()) return found->second.instructions;
  const bpf_insn* first = bpf_program__insns(program);
  return {first, bpf_program__insn_cnt(program)};
}

// The kernel stores only whether a license is GPL-compatible; libbpf has no call that returns the object's.
bool IsGplCompatible(int program_fd) {
  bpf_prog_info facts = {};
  uint32_t size = sizeof(facts);
  return bpf_obj_get_info_by_fd(program_fd, &facts, &size) == 0 && facts.gpl_compatible;
}

// The verifier of 5.10 does not finish with some programs: it saves states by the number of jumps, and counts jumps to
// the next instruction as well. 6.1 is the first later kernel that was tried.
bool VerifiesShortPrograms() {
  utsname system = {};
  int major = 0, minor = 0;
  uname(&system);
  return std::sscanf(system.release, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 1));
}

}  // namespace

// The instructions name maps by descriptor, so a job has descriptors of its own: a map may be closed meanwhile.
struct CloneJob {
  LoadRequest request;
  std::shared_ptr<const ProgramImage> image;
  std::unordered_map<int, int> replacements;
  std::vector<UniqueFd> maps;
  Constants constants;
  LoadResult result;
};

// A link to open, and then the link.
struct LinkJob {
  UniqueFd program;
  const char* step;
  std::string subject;
  std::function<void(LinkJob&)> open;
  UniqueFd link, perf_event;
  int error = 0;
  std::string hint;
};

namespace {

void ReplaceMaps(Napi::Env env, CloneJob& job, const std::unordered_map<int, BpfMap*>& maps) {
  for (const auto& [replaced, map] : maps) {
    UniqueFd own = UniqueFd::Duplicate(map->Fd("load program with map"));
    if (!own) throw BpfFailure(env, errno, "load program", job.request.name);
    job.replacements[replaced] = own.get();
    if (auto value = map->ConstantValue()) job.constants[own.get()] = std::move(*value);
    job.maps.push_back(std::move(own));
  }
}

void Load(CloneJob& job) {
  static const bool specializes = VerifiesShortPrograms();
  auto& instructions = job.request.instructions;
  instructions = job.image->WithMaps(job.replacements);
  if (specializes && !job.constants.empty()) instructions = Specialize(instructions, job.constants);
  job.result = LoadProgram(job.request);
}

Napi::Value Finish(Napi::Env env, CloneJob& job) {
  UniqueFd fd = LoadedProgram(env, job.request.name, std::move(job.result));
  return BpfProgram::Wrap(env, std::move(fd), job.request.name, job.request.attach_type, job.image);
}

const char* TracingStep(bpf_attach_type type) {
  switch (type) {
    case BPF_TRACE_FENTRY: return "attach fentry";
    case BPF_TRACE_FEXIT: return "attach fexit";
    case BPF_MODIFY_RETURN: return "attach fmod_ret";
    case BPF_LSM_MAC: return "attach lsm";
    default: return "attach tracing";
  }
}

// Appends what is left of a file; returns 0, or the errno. An iterator answers EAGAIN after a million objects about which
// it wrote nothing, and goes on with the next read.
int ReadAll(int fd, std::vector<uint8_t>& output) {
  uint8_t chunk[4096];
  for (;;) {
    ssize_t count = read(fd, chunk, sizeof(chunk));
    if (count < 0 && errno != EAGAIN && errno != EINTR) return errno;
    if (count == 0) return 0;
    if (count > 0) output.insert(output.end(), chunk, chunk + count);
  }
}

// Runs the program at a perf event.
void OpenPerfLink(LinkJob& job, PerfEvent event) {
  if (!event.fd) {
    job.error = event.error;
    job.hint = std::move(event.hint);
    return;
  }
  PerfAttachment attachment = AttachToPerfEvent(job.program.get(), event.fd.get());
  job.error = attachment.error;
  job.link = std::move(attachment.link);
  job.perf_event = std::move(event.fd);
}

// Takes the link, or the errno of the call that should have opened it.
void TakeLink(LinkJob& job, int fd) {
  job.error = fd < 0 ? errno : 0;
  job.link = UniqueFd(fd);
}

void OpenLink(LinkJob& job) { job.open(job); }

Napi::Value FinishLink(Napi::Env env, LinkJob& job) {
  if (job.error) throw BpfFailure(env, job.error, job.step, job.subject, {.hint = job.hint});
  return BpfLink::Wrap(env, std::move(job.link), std::move(job.perf_event));
}

}  // namespace

std::shared_ptr<LinkJob> BpfProgram::LinkJobFor(const char* step, std::string subject) const {
  auto job = std::make_shared<LinkJob>();
  job->program = UniqueFd::Duplicate(LoadedFd(step));
  if (!job->program) throw BpfFailure(Env(), errno, step, subject);
  job->step = step;
  job->subject = std::move(subject);
  return job;
}

std::shared_ptr<LinkJob> BpfProgram::RawTracepointJob(const Napi::CallbackInfo& info) const {
  auto job = LinkJobFor("attach raw tracepoint", StringArgument(info, 0, "name"));
  job->open = [](LinkJob& job) { TakeLink(job, bpf_raw_tracepoint_open(job.subject.c_str(), job.program.get())); };
  return job;
}

std::shared_ptr<LinkJob> BpfProgram::TracingJob(const Napi::CallbackInfo&) const {
  auto job = LinkJobFor(TracingStep(attach_type_), name_);
  // Before 5.16 there are no links of this kind: libbpf then opens a raw tracepoint without a name.
  job->open = [type = attach_type_](LinkJob& job) {
    TakeLink(job, bpf_link_create(job.program.get(), 0, type, nullptr));
  };
  return job;
}

std::shared_ptr<LinkJob> BpfProgram::KprobeJob(const Napi::CallbackInfo& info) const {
  std::string symbol = StringArgument(info, 0, "symbol");
  bool retprobe = IsPresent(info[1]) && BooleanProperty(ObjectArgument(info, 1, "options"), "retprobe", false);
  auto job = LinkJobFor(retprobe ? "attach kretprobe" : "attach kprobe", std::move(symbol));
  job->open = [retprobe](LinkJob& job) { OpenPerfLink(job, OpenKprobeEvent(job.subject, retprobe)); };
  return job;
}

std::shared_ptr<LinkJob> BpfProgram::TracepointJob(const Napi::CallbackInfo& info) const {
  std::string subsystem = StringArgument(info, 0, "subsystem");
  std::string event = StringArgument(info, 1, "event");
  auto job = LinkJobFor("attach tracepoint", subsystem + "/" + event);
  job->open = [subsystem, event](LinkJob& job) { OpenPerfLink(job, OpenTracepointEvent(subsystem, event)); };
  return job;
}

template <BpfProgram::MakeLinkJob kMake>
Napi::Value BpfProgram::Attach(const Napi::CallbackInfo& info) {
  auto job = (this->*kMake)(info);
  OpenLink(*job);
  return FinishLink(info.Env(), *job);
}

template <BpfProgram::MakeLinkJob kMake>
Napi::Value BpfProgram::AttachAsync(const Napi::CallbackInfo& info) {
  return Background<LinkJob>::Run(info.Env(), (this->*kMake)(info), OpenLink, FinishLink);
}

Napi::Function BpfProgram::Define(Napi::Env env) {
  return DefineClass(
      env, kClassName,
      {
          InstanceAccessor<&BpfProgram::Name>("name"),
          InstanceAccessor<&BpfProgram::FdNumber>("fd"),
          InstanceMethod<&BpfProgram::InstructionCount>("instructionCount"),
          InstanceMethod<&BpfProgram::Clone>("clone"),
          InstanceMethod<&BpfProgram::CloneAsync>("cloneAsync"),
          InstanceMethod<&BpfProgram::Attach<&BpfProgram::RawTracepointJob>>("attachRawTracepoint"),
          InstanceMethod<&BpfProgram::AttachAsync<&BpfProgram::RawTracepointJob>>("attachRawTracepointAsync"),
          InstanceMethod<&BpfProgram::Attach<&BpfProgram::TracingJob>>("attachTracing"),
          InstanceMethod<&BpfProgram::AttachAsync<&BpfProgram::TracingJob>>("attachTracingAsync"),
          InstanceMethod<&BpfProgram::Attach<&BpfProgram::KprobeJob>>("attachKprobe"),
          InstanceMethod<&BpfProgram::AttachAsync<&BpfProgram::KprobeJob>>("attachKprobeAsync"),
          InstanceMethod<&BpfProgram::Attach<&BpfProgram::TracepointJob>>("attachTracepoint"),
          InstanceMethod<&BpfProgram::AttachAsync<&BpfProgram::TracepointJob>>("attachTracepointAsync"),
          InstanceMethod<&BpfProgram::TestRun>("testRun"),
          InstanceMethod<&BpfProgram::RunIterator>("runIterator"),
          InstanceMethod<&BpfProgram::Info>("info"),
          InstanceMethod<&BpfProgram::Close>("close"),
      });
}

Napi::Value BpfProgram::Find(Napi::Env env, std::shared_ptr<OpenObject> object, const std::string& name) {
  bpf_program* found = bpf_object__find_program_by_name(object->object, name.c_str());
  if (!found) throw BpfFailure(env, ENOENT, "find program", name, {.hint = "the object has no such program"});

  bool is_template = object->templates.contains(name);
  int loaded_fd = bpf_program__fd(found);
  if (loaded_fd < 0) throw BpfFailure(env, ENOENT, "find program", name, {.hint = "its autoload is off"});
  UniqueFd fd = is_template ? UniqueFd() : UniqueFd::Duplicate(loaded_fd);
  if (!fd && !is_template) throw BpfFailure(env, errno, "find program", name);

  auto instructions = Instructions(*object, found);
  auto image = std::make_shared<ProgramImage>(
      ProgramImage{std::move(object), std::move(instructions), IsGplCompatible(loaded_fd)});
  return Wrap(env, std::move(fd), name, bpf_program__expected_attach_type(found), std::move(image));
}

BpfProgram::BpfProgram(const Napi::CallbackInfo& info) : Napi::ObjectWrap<BpfProgram>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

const ProgramImage& BpfProgram::Image(const char* step) const {
  if (!image_) throw ClosedFailure(Env(), step, name_);
  return *image_;
}

int BpfProgram::LoadedFd(const char* step) const {
  Image(step);
  if (!fd_) throw BpfFailure(Env(), EINVAL, step, name_, {.hint = "a template: clone it, then use the clone"});
  return fd_.get();
}

std::unordered_map<int, BpfMap*> BpfProgram::MapReplacements(const Napi::Value& maps) const {
  std::unordered_map<int, BpfMap*> replacements;
  if (!IsPresent(maps)) return replacements;
  if (!maps.IsObject()) throw Napi::TypeError::New(Env(), "maps: expected an object");

  Napi::Object by_name = maps.As<Napi::Object>();
  Napi::Array names = by_name.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    std::string name = names.Get(i).As<Napi::String>();
    bpf_map* replaced = bpf_object__find_map_by_name(image_->owner->object, name.c_str());
    if (!replaced) throw BpfFailure(Env(), ENOENT, "find map", name, {.hint = "the object has no such map"});
    BpfMap* replacement = UnwrapArgument<BpfMap>(by_name.Get(name), ("maps." + name).c_str());
    replacement->Fd("load program with map");
    replacements[bpf_map__fd(replaced)] = replacement;
  }
  return replacements;
}

Napi::Value BpfProgram::Wrap(Napi::Env env, UniqueFd fd, std::string name, bpf_attach_type attach_type,
                             std::shared_ptr<const ProgramImage> image) {
  BpfProgram* program = NewInstance<BpfProgram>(Classes::Of(env).program);
  program->name_ = std::move(name);
  program->fd_ = std::move(fd);
  program->attach_type_ = attach_type;
  program->image_ = std::move(image);
  return program->Value();
}

std::shared_ptr<CloneJob> BpfProgram::MakeCloneJob(const Napi::CallbackInfo& info) const {
  Napi::Env env = info.Env();
  Napi::Object options = ObjectArgument(info, 0, "options");
  const ProgramImage& image = Image("load program");
  auto job = std::make_shared<CloneJob>();
  job->request = {
      .name = StringProperty(options, "name"),
      .type = ToProgramType(env, StringProperty(options, "type")),
      .attach_type = ToAttachType(env, StringProperty(options, "expectedAttachType")),
      .attach_btf_id = Uint32Property(options, "attachBtfId", 0),
      .flags = BooleanProperty(options, "sleepable", false) ? BPF_F_SLEEPABLE : 0u,
      .license = image.gpl_compatible ? "GPL" : "Proprietary",
      .kernel_version = bpf_object__kversion(image.owner->object),
  };
  job->image = image_;
  ReplaceMaps(env, *job, MapReplacements(options.Get("maps")));
  return job;
}

Napi::Value BpfProgram::Clone(const Napi::CallbackInfo& info) {
  auto job = MakeCloneJob(info);
  Load(*job);
  return Finish(info.Env(), *job);
}

Napi::Value BpfProgram::CloneAsync(const Napi::CallbackInfo& info) {
  return Background<CloneJob>::Run(info.Env(), MakeCloneJob(info), Load, Finish);
}

Napi::Value BpfProgram::InstructionCount(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Image("count instructions of program").instructions.size());
}

Napi::Value BpfProgram::TestRun(const Napi::CallbackInfo& info) {
  Bytes context = BytesArgument(info, 0, "context");
  int fd = LoadedFd("run program");
  LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = context.data(),
              .ctx_size_in = static_cast<uint32_t>(context.size()));
  if (bpf_prog_test_run_opts(fd, &options) < 0) throw BpfFailure(info.Env(), errno, "run program", name_);
  return Napi::Number::New(info.Env(), static_cast<int32_t>(options.retval));
}

Napi::Value BpfProgram::RunIterator(const Napi::CallbackInfo& info) {
  const char* step = "run iterator";
  UniqueFd link(bpf_link_create(LoadedFd(step), 0, BPF_TRACE_ITER, nullptr));
  if (!link) throw BpfFailure(info.Env(), errno, step, name_);
  UniqueFd iterator(bpf_iter_create(link.get()));
  if (!iterator) throw BpfFailure(info.Env(), errno, step, name_);

  std::vector<uint8_t> output;
  if (int error = ReadAll(iterator.get(), output)) throw BpfFailure(info.Env(), error, step, name_);
  auto bytes = Napi::Uint8Array::New(info.Env(), output.size());
  std::copy(output.begin(), output.end(), bytes.Data());
  return bytes;
}

Napi::Value BpfProgram::Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = LoadedFd("describe program");
  bpf_prog_info facts = {};
  uint32_t size = sizeof(facts);
  if (bpf_obj_get_info_by_fd(fd, &facts, &size) < 0) throw BpfFailure(env, errno, "describe program", name_);

  Napi::Object result = Napi::Object::New(env);
  result.Set("id", facts.id);
  result.Set("xlatedInstructions", facts.xlated_prog_len / static_cast<uint32_t>(sizeof(bpf_insn)));
  result.Set("jitedBytes", facts.jited_prog_len);
  result.Set("memlockBytes", static_cast<double>(MemlockBytes(fd)));
  result.Set("recursionMisses", static_cast<double>(facts.recursion_misses));
  result.Set("runs", static_cast<double>(facts.run_cnt));
  result.Set("runNs", static_cast<double>(facts.run_time_ns));
  return result;
}

void BpfProgram::Close(const Napi::CallbackInfo&) {
  fd_.Reset();
  image_.reset();
}

Napi::Value BpfProgram::Name(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), name_); }
Napi::Value BpfProgram::FdNumber(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), fd_.get()); }
