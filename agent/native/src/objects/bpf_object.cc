#include "objects/bpf_object.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "objects/arguments.h"
#include "objects/bpf_map.h"
#include "objects/bpf_program.h"
#include "objects/error.h"
#include "objects/handles.h"
#include "objects/struct_layout.h"

Napi::Function BpfObject::Define(Napi::Env env) {
  return DefineClass(env, kClassName,
                     {
                         InstanceMethod<&BpfObject::ProgramNames>("programNames"),
                         InstanceMethod<&BpfObject::MapNames>("mapNames"),
                         InstanceMethod<&BpfObject::SetAutoload>("setAutoload"),
                         InstanceMethod<&BpfObject::SetMaxEntries>("setMaxEntries"),
                         InstanceMethod<&BpfObject::SetInitialValue>("setInitialValue"),
                         InstanceMethod<&BpfObject::Load>("load"),
                         InstanceMethod<&BpfObject::Map>("map"),
                         InstanceMethod<&BpfObject::Program>("program"),
                         InstanceMethod<&BpfObject::StructLayout>("structLayout"),
                         InstanceMethod<&BpfObject::Close>("close"),
                     });
}

Napi::Value BpfObject::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string path = StringArgument(info, 0, "path");
  LibbpfLog log;
  bpf_object* opened = bpf_object__open_file(path.c_str(), nullptr);
  if (!opened) throw BpfFailure(env, errno, "open object", path, log);

  auto owner = std::make_shared<OpenObject>(opened);
  BpfObject* object = NewInstance<BpfObject>(Classes::Of(env).object);
  object->path_ = path;
  object->opened_ = std::move(owner);
  return object->Value();
}

BpfObject::BpfObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<BpfObject>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

OpenObject& BpfObject::Opened(const char* step) const {
  if (!opened_) throw ClosedFailure(Env(), step, path_);
  return *opened_;
}

OpenObject& BpfObject::BeforeLoad(const char* step) const {
  OpenObject& opened = Opened(step);
  if (opened.load_tried) throw BpfFailure(Env(), EBUSY, step, path_, {.hint = "only before load()"});
  return opened;
}

OpenObject& BpfObject::Loaded(const char* step) const {
  OpenObject& opened = Opened(step);
  if (!opened.loaded) throw BpfFailure(Env(), EINVAL, step, path_, {.hint = "only after load()"});
  return opened;
}

bpf_map* BpfObject::FindMap(const OpenObject& opened, const std::string& name) const {
  bpf_map* map = bpf_object__find_map_by_name(opened.object, name.c_str());
  if (!map) throw BpfFailure(Env(), ENOENT, "find map", name, {.hint = "the object has no such map"});
  return map;
}

Napi::Value BpfObject::ProgramNames(const Napi::CallbackInfo& info) {
  OpenObject& opened = Opened("list programs of object");
  Napi::Array names = Napi::Array::New(info.Env());
  bpf_program* program;
  bpf_object__for_each_program(program, opened.object) names.Set(names.Length(), bpf_program__name(program));
  return names;
}

Napi::Value BpfObject::MapNames(const Napi::CallbackInfo& info) {
  OpenObject& opened = Opened("list maps of object");
  Napi::Array names = Napi::Array::New(info.Env());
  bpf_map* map;
  bpf_object__for_each_map(map, opened.object) names.Set(names.Length(), bpf_map__name(map));
  return names;
}

void BpfObject::SetAutoload(const Napi::CallbackInfo& info) {
  std::string name = StringArgument(info, 0, "program");
  bool autoload = BooleanArgument(info, 1, "autoload");
  OpenObject& opened = BeforeLoad("set autoload in object");
  bpf_program* program = bpf_object__find_program_by_name(opened.object, name.c_str());
  if (!program) throw BpfFailure(Env(), ENOENT, "find program", name, {.hint = "the object has no such program"});
  if (int error = bpf_program__set_autoload(program, autoload)) throw BpfFailure(Env(), error, "set autoload of", name);
}

void BpfObject::SetMaxEntries(const Napi::CallbackInfo& info) {
  std::string name = StringArgument(info, 0, "map");
  uint32_t max_entries = Uint32Argument(info, 1, "maxEntries");
  bpf_map* map = FindMap(BeforeLoad("set max entries in object"), name);
  if (int error = bpf_map__set_max_entries(map, max_entries)) {
    throw BpfFailure(Env(), error, "set max entries of map", name);
  }
}

void BpfObject::SetInitialValue(const Napi::CallbackInfo& info) {
  std::string name = StringArgument(info, 0, "map");
  Bytes bytes = BytesArgument(info, 1, "bytes");
  size_t offset = IsPresent(info[2]) ? Uint32Argument(info, 2, "offset") : 0;
  bpf_map* map = FindMap(BeforeLoad("set initial value in object"), name);

  size_t size = 0;
  const auto* current = static_cast<const uint8_t*>(bpf_map__initial_value(map, &size));
  if (!current) throw BpfFailure(Env(), EINVAL, "set initial value of map", name, {.hint = "not a data section"});
  if (offset > size || bytes.size() > size - offset) {
    throw Napi::RangeError::New(Env(), name + " has " + std::to_string(size) + " bytes");
  }
  std::vector<uint8_t> value(current, current + size);
  if (!bytes.empty()) memcpy(value.data() + offset, bytes.data(), bytes.size());
  if (int error = bpf_map__set_initial_value(map, value.data(), size)) {
    throw BpfFailure(Env(), error, "set initial value of map", name);
  }
}

void BpfObject::Load(const Napi::CallbackInfo& info) {
  OpenObject& opened = BeforeLoad("load object");
  uint32_t rdonly_cast = IsPresent(info[0]) ? Uint32Property(ObjectArgument(info, 0, "options"), "rdonlyCast", 0) : 0;
  LibbpfLog log;
  int error = opened.Load(rdonly_cast);
  if (error == 0) return;
  if (log.failed_program().empty()) throw BpfFailure(Env(), error, "load object", path_, log);
  throw BpfFailure(Env(), error, "load program", log.failed_program(),
                   {.verifier_log = log.verifier_log(), .libbpf_log = log.Messages()});
}

Napi::Value BpfObject::Map(const Napi::CallbackInfo& info) {
  std::string name = StringArgument(info, 0, "name");
  bpf_map* map = FindMap(Loaded("find map in object"), name);
  UniqueFd fd = UniqueFd::Duplicate(bpf_map__fd(map));
  if (!fd) throw BpfFailure(Env(), errno, "find map", name);
  return BpfMap::Wrap(Env(), std::move(fd), bpf_map__name(map));
}

Napi::Value BpfObject::Program(const Napi::CallbackInfo& info) {
  std::string name = StringArgument(info, 0, "name");
  Loaded("find program in object");
  return BpfProgram::Find(Env(), opened_, name);
}

Napi::Value BpfObject::StructLayout(const Napi::CallbackInfo& info) {
  std::string name = StringArgument(info, 0, "name");
  const btf* types = bpf_object__btf(Opened("describe struct in object").object);
  int id = types ? btf__find_by_name_kind(types, name.c_str(), BTF_KIND_STRUCT) : -ENOENT;
  if (id < 0) throw BpfFailure(Env(), id, "describe struct", name, {.hint = "not in the object's BTF"});

  Napi::Object members = Napi::Object::New(Env());
  VisitMembers(types, id, [&](const char* member_name, Member member) {
    Napi::Object entry = Napi::Object::New(Env());
    entry.Set("offset", member.offset);
    entry.Set("size", member.size);
    members.Set(member_name, entry);
    return true;
  });
  Napi::Object layout = Napi::Object::New(Env());
  layout.Set("size", btf__type_by_id(types, id)->size);
  layout.Set("members", members);
  return layout;
}

void BpfObject::Close(const Napi::CallbackInfo&) { opened_.reset(); }
