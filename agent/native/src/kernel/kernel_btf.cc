#include "kernel/kernel_btf.h"

#include <cerrno>
#include <optional>

#include "kernel/type_name.h"
#include "objects/arguments.h"
#include "objects/background.h"
#include "objects/error.h"
#include "objects/handles.h"
#include "objects/struct_layout.h"

namespace {

constexpr const char* kRunningKernel = "vmlinux";

template <typename Enumerator>
const Enumerator* FindEnumerator(const btf* types, const Enumerator* enumerators, uint16_t count,
                                 const std::string& name) {
  for (uint16_t i = 0; i < count; i++) {
    if (name == btf__name_by_offset(types, enumerators[i].name_off)) return &enumerators[i];
  }
  return nullptr;
}

std::optional<double> EnumeratorValue(const btf* types, const btf_type* type, const std::string& name) {
  bool is_signed = btf_kflag(type);
  if (btf_is_enum64(type)) {
    const auto* found = FindEnumerator(types, btf_enum64(type), btf_vlen(type), name);
    if (!found) return std::nullopt;
    uint64_t value = btf_enum64_value(found);
    return is_signed ? static_cast<double>(static_cast<int64_t>(value)) : static_cast<double>(value);
  }
  // BTF before 6.1 does not mark signed enums: libbpf and the kernel treat all as signed.
  const auto* found = FindEnumerator(types, btf_enum(type), btf_vlen(type), name);
  return found ? std::optional<double>(found->val) : std::nullopt;
}

// From parameter `first` on.
Napi::Value Prototype(Napi::Env env, const btf* types, uint32_t id, const btf_type* proto, uint16_t first) {
  Napi::Array params = Napi::Array::New(env, btf_vlen(proto) - first);
  for (uint16_t i = first; i < btf_vlen(proto); i++) {
    const btf_param& parameter = btf_params(proto)[i];
    bool variadic = parameter.type == 0 && parameter.name_off == 0;
    Napi::Object param = Napi::Object::New(env);
    param.Set("name", btf__name_by_offset(types, parameter.name_off));
    param.Set("type", variadic ? "..." : TypeName(types, parameter.type));
    param.Set("typeId", parameter.type);
    params.Set(i - first, param);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("btfId", id);
  result.Set("params", params);
  result.Set("returnType", TypeName(types, proto->type));
  return result;
}

Napi::Array Members(Napi::Env env, const btf* types, const btf_type* type) {
  Napi::Array members = Napi::Array::New(env, btf_vlen(type));
  for (uint16_t i = 0; i < btf_vlen(type); i++) {
    Napi::Object member = Napi::Object::New(env);
    member.Set("name", btf__name_by_offset(types, btf_members(type)[i].name_off));
    member.Set("bitOffset", btf_member_bit_offset(type, i));
    member.Set("bitSize", btf_member_bitfield_size(type, i));
    member.Set("type", btf_members(type)[i].type);
    members.Set(i, member);
  }
  return members;
}

const btf_type* WithoutNames(const btf* types, uint32_t id) {
  const btf_type* type = btf__type_by_id(types, id);
  while (type && (btf_is_mod(type) || btf_is_typedef(type) || btf_is_type_tag(type))) {
    type = btf__type_by_id(types, type->type);
  }
  return type;
}

}  // namespace

Napi::Function KernelBtf::Define(Napi::Env env) {
  return DefineClass(env, kClassName,
                     {
                         InstanceMethod<&KernelBtf::FuncProto>("funcProto"),
                         InstanceMethod<&KernelBtf::TracepointProto>("tracepointProto"),
                         InstanceMethod<&KernelBtf::HasStruct>("hasStruct"),
                         InstanceMethod<&KernelBtf::Module>("module"),
                         InstanceMethod<&KernelBtf::StructId>("structId"),
                         InstanceMethod<&KernelBtf::DescribeType>("describeType"),
                         InstanceMethod<&KernelBtf::EnumValue>("enumValue"),
                         InstanceMethod<&KernelBtf::StructMember>("structMember"),
                         InstanceMethod<&KernelBtf::ReadAsync>("readAsync"),
                         InstanceMethod<&KernelBtf::Release>("release"),
                         InstanceMethod<&KernelBtf::Close>("close"),
                     });
}

Napi::Value KernelBtf::Load(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bool custom = IsPresent(info[0]);
  std::string path = custom ? StringArgument(info, 0, "path") : kRunningKernel;
  ParsedBtf parsed = ParsedBtf::Read(path, custom);
  if (!parsed.types) throw parsed.Failure(env, path);
  KernelBtf* made = Make(env, path, std::move(parsed), nullptr);
  made->custom_ = custom;
  return made->Value();
}

Napi::Error ParsedBtf::Failure(Napi::Env env, const std::string& path) const {
  if (is_absent) {
    return BpfFailure(env, ENOENT, "load BTF of", path,
                      {.hint = "the kernel has no BTF: it needs CONFIG_DEBUG_INFO_BTF", .libbpf_log = libbpf_log});
  }
  return BpfFailure(env, error, "load BTF of", path, {.hint = hint, .libbpf_log = libbpf_log});
}

ParsedBtf ParsedBtf::Read(const std::string& path, bool custom) {
  LibbpfLog log;
  ParsedBtf parsed;
  btf* types = custom ? btf__parse(path.c_str(), nullptr) : btf__load_vmlinux_btf();
  if (!types) {
    parsed.error = errno;
    parsed.is_absent = !custom && errno == ESRCH;
    parsed.hint = log.LastMessage();
    parsed.libbpf_log = log.Messages();
    return parsed;
  }
  parsed.types.reset(types, btf__free);
  parsed.BuildIndex(nullptr);
  return parsed;
}

Napi::Value KernelBtf::Module(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Types("load BTF of a module of");
  std::string name = StringArgument(info, 0, "name");
  LibbpfLog log;
  btf* types = btf__load_module_btf(name.c_str(), parsed_.types.get());
  if (!types) throw BpfFailure(env, errno, "load BTF of module", name, log);
  ParsedBtf parsed = {.types = std::shared_ptr<btf>(types, btf__free)};
  parsed.BuildIndex(parsed_.types.get());
  return Make(env, name, std::move(parsed), parsed_.types)->Value();
}

KernelBtf* KernelBtf::Make(Napi::Env env, std::string path, ParsedBtf parsed, std::shared_ptr<btf> base) {
  KernelBtf* made = NewInstance<KernelBtf>(Classes::Of(env).kernel_btf);
  made->path_ = std::move(path);
  made->base_ = std::move(base);
  made->parsed_ = std::move(parsed);
  made->closed_ = false;
  return made;
}

KernelBtf::KernelBtf(const Napi::CallbackInfo& info) : Napi::ObjectWrap<KernelBtf>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

void ParsedBtf::BuildIndex(const btf* base) {
  uint32_t count = btf__type_cnt(types.get());
  functions.Reserve(count / 2);
  structs.Reserve(count / 8);
  uint32_t own = base ? btf__type_cnt(base) : 1;
  for (uint32_t id = own; id < count; id++) IndexType(id);
  for (uint32_t id = 1; id < own; id++) IndexType(id);
}

void ParsedBtf::IndexType(uint32_t id) {
  const btf_type* type = btf__type_by_id(types.get(), id);
  if (type->name_off == 0) return;
  auto add = [&](NameIndex& index) { index.Add(types.get(), btf__name_by_offset(types.get(), type->name_off), id); };
  if (btf_is_func(type)) add(functions);
  if (btf_is_composite(type)) add(structs);
  if (btf_is_any_enum(type)) add(enums);
  if (btf_is_typedef(type)) {
    const btf_type* target = btf__type_by_id(types.get(), type->type);
    if (target && btf_is_composite(target) && target->name_off == 0) add(structs);
  }
}

const btf* KernelBtf::Types(const char* step) {
  if (closed_) throw ClosedFailure(Env(), step, path_);
  if (!parsed_.types) Take(ParsedBtf::Read(path_, custom_));
  return parsed_.types.get();
}

void KernelBtf::Take(ParsedBtf parsed) {
  if (!parsed.types) throw parsed.Failure(Env(), path_);
  parsed_ = std::move(parsed);
}

Napi::Value KernelBtf::ReadAsync(const Napi::CallbackInfo& info) {
  if (closed_) throw ClosedFailure(Env(), "load BTF of", path_);
  struct Job {
    std::string path;
    bool custom, is_there;
    ParsedBtf parsed;
  };
  auto job = std::make_shared<Job>(Job{path_, custom_, parsed_.types != nullptr, {}});
  auto self = std::make_shared<Napi::ObjectReference>(Napi::Persistent(Value()));
  auto work = [](Job& job) {
    if (!job.is_there) job.parsed = ParsedBtf::Read(job.path, job.custom);
  };
  auto finish = [self](Napi::Env env, Job& job) -> Napi::Value {
    KernelBtf* btf = Unwrap(self->Value());
    if (!job.is_there && !btf->closed_ && !btf->parsed_.types) btf->Take(std::move(job.parsed));
    return env.Undefined();
  };
  return Background<Job>::Run(info.Env(), std::move(job), work, finish);
}

Napi::Value KernelBtf::FuncProto(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const btf* types = Types("find function in BTF of");
  uint32_t id = parsed_.functions.Find(types, StringArgument(info, 0, "name"));
  if (!id) return env.Undefined();

  return Prototype(env, types, id, btf__type_by_id(types, btf__type_by_id(types, id)->type), 0);
}

// A tracepoint's prototype is that of its probes, which get their own data before its parameters.
Napi::Value KernelBtf::TracepointProto(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const btf* types = Types("find tracepoint in BTF of");
  std::string name = "btf_trace_" + StringArgument(info, 0, "name");
  int id = btf__find_by_name_kind(types, name.c_str(), BTF_KIND_TYPEDEF);
  if (id < 0) return env.Undefined();

  const btf_type* pointer = btf__type_by_id(types, btf__type_by_id(types, id)->type);
  const btf_type* proto = pointer && btf_is_ptr(pointer) ? btf__type_by_id(types, pointer->type) : nullptr;
  if (!proto || !btf_is_func_proto(proto) || btf_vlen(proto) == 0) return env.Undefined();
  return Prototype(env, types, id, proto, 1);
}

std::optional<uint32_t> KernelBtf::FindStruct(const std::string& name) const {
  const btf* types = parsed_.types.get();
  uint32_t id = parsed_.structs.Find(types, name);
  if (!id) return std::nullopt;
  const btf_type* type = btf__type_by_id(types, id);
  return btf_is_typedef(type) ? type->type : id;
}

Napi::Value KernelBtf::HasStruct(const Napi::CallbackInfo& info) {
  Types("find struct in BTF of");
  return Napi::Boolean::New(info.Env(), FindStruct(StringArgument(info, 0, "name")).has_value());
}

Napi::Value KernelBtf::StructId(const Napi::CallbackInfo& info) {
  Types("find struct in BTF of");
  std::optional<uint32_t> id = FindStruct(StringArgument(info, 0, "name"));
  return id ? Napi::Number::New(info.Env(), *id) : info.Env().Undefined();
}

Napi::Value KernelBtf::DescribeType(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const btf* types = Types("describe type in BTF of");
  const btf_type* type = WithoutNames(types, Uint32Argument(info, 0, "id"));
  Napi::Object result = Napi::Object::New(env);
  auto describe = [&](const char* kind, int64_t size) {
    result.Set("kind", kind);
    result.Set("size", static_cast<double>(size));
  };
  if (!type) {
    result.Set("kind", "other");
  } else if (btf_is_composite(type)) {
    describe("struct", type->size);
    result.Set("name", btf__name_by_offset(types, type->name_off));
    result.Set("members", Members(env, types, type));
  } else if (btf_is_ptr(type)) {
    describe("pointer", sizeof(void*));
    result.Set("target", type->type);
  } else if (btf_is_array(type)) {
    const auto* array = btf_array(type);
    describe("array", btf__resolve_size(types, array->type) * array->nelems);
    result.Set("target", array->type);
    result.Set("count", array->nelems);
  } else if (btf_is_int(type)) {
    describe("integer", type->size);
    result.Set("signed", (btf_int_encoding(type) & BTF_INT_SIGNED) != 0);
  } else if (btf_is_any_enum(type)) {
    describe("integer", type->size);
    result.Set("signed", btf_is_enum(type) || btf_kflag(type));
  } else {
    result.Set("kind", "other");
  }
  return result;
}

Napi::Value KernelBtf::EnumValue(const Napi::CallbackInfo& info) {
  const btf* types = Types("find enum in BTF of");
  uint32_t id = parsed_.enums.Find(types, StringArgument(info, 0, "enumName"));
  std::string enumerator = StringArgument(info, 1, "enumerator");
  if (!id) return info.Env().Undefined();
  auto value = EnumeratorValue(types, btf__type_by_id(types, id), enumerator);
  return value ? Napi::Number::New(info.Env(), *value) : info.Env().Undefined();
}

Napi::Value KernelBtf::StructMember(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const btf* types = Types("find struct in BTF of");
  std::optional<uint32_t> id = FindStruct(StringArgument(info, 0, "structName"));
  std::string wanted = StringArgument(info, 1, "member");
  if (!id) return env.Undefined();

  std::optional<Member> found;
  VisitMembers(types, *id, [&](const char* name, Member member) {
    if (wanted == name) found = member;
    return !found;
  });
  if (!found) return env.Undefined();
  Napi::Object result = Napi::Object::New(env);
  result.Set("offset", found->offset);
  result.Set("size", found->size);
  return result;
}

void KernelBtf::Free() { parsed_ = {}; }

void KernelBtf::Release(const Napi::CallbackInfo&) {
  if (!base_) Free();  // a module's types are not read again
}

void KernelBtf::Close(const Napi::CallbackInfo&) {
  Free();
  base_.reset();
  closed_ = true;
}
