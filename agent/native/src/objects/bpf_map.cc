#include "objects/bpf_map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "objects/arguments.h"
#include "objects/error.h"
#include "objects/fdinfo.h"
#include "objects/handles.h"
#include "objects/unpreempted.h"

namespace {

bpf_map_type ToMapType(Napi::Env env, const std::string& name) {
  static const std::unordered_map<std::string, bpf_map_type> types = {
      {"hash",            BPF_MAP_TYPE_HASH           },
      {"array",           BPF_MAP_TYPE_ARRAY          },
      {"percpu_array",    BPF_MAP_TYPE_PERCPU_ARRAY   },
      {"percpu_hash",     BPF_MAP_TYPE_PERCPU_HASH    },
      {"lru_hash",        BPF_MAP_TYPE_LRU_HASH       },
      {"lru_percpu_hash", BPF_MAP_TYPE_LRU_PERCPU_HASH},
      {"lpm_trie",        BPF_MAP_TYPE_LPM_TRIE       },
      {"ringbuf",         BPF_MAP_TYPE_RINGBUF        },
  };
  auto found = types.find(name);
  if (found == types.end()) throw Napi::TypeError::New(env, "type: unknown map type " + name);
  return found->second;
}

bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

// 0 or the errno. The kernel skips kprobes on this CPU meanwhile.
template <typename Call>
int BySystemCall(Call call) {
  Unpreempted scope(MapProgram::IsWanted());
  return call() < 0 ? errno : 0;
}

// An array that is mapped needs no program. The kernel lets nobody map constants for writing.
uint32_t FlagsToCreate(bpf_map_type type, uint32_t flags) {
  bool maps = MapProgram::IsWanted() && type == BPF_MAP_TYPE_ARRAY && !(flags & BPF_F_RDONLY_PROG);
  return maps ? flags | BPF_F_MMAPABLE : flags;
}

}  // namespace

Napi::Function BpfMap::Define(Napi::Env env) {
  return DefineClass(env, kClassName,
                     {
                         InstanceAccessor<&BpfMap::Name>("name"),
                         InstanceAccessor<&BpfMap::KeySize>("keySize"),
                         InstanceAccessor<&BpfMap::ValueSize>("valueSize"),
                         InstanceAccessor<&BpfMap::MaxEntries>("maxEntries"),
                         InstanceMethod<&BpfMap::Lookup>("lookup"),
                         InstanceMethod<&BpfMap::Update>("update"),
                         InstanceMethod<&BpfMap::Delete>("delete"),
                         InstanceMethod<&BpfMap::Keys>("keys"),
                         InstanceMethod<&BpfMap::Freeze>("freeze"),
                         InstanceMethod<&BpfMap::Memlock>("memlockBytes"),
                         InstanceMethod<&BpfMap::Close>("close"),
                     });
}

Napi::Value BpfMap::Create(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = ObjectArgument(info, 0, "options");
  std::string name = StringProperty(options, "name");
  bpf_map_type type = ToMapType(env, StringProperty(options, "type"));

  LIBBPF_OPTS(bpf_map_create_opts, create_options,
              .map_flags = FlagsToCreate(type, Uint32Property(options, "flags", 0)));
  LibbpfLog log;
  UniqueFd fd(bpf_map_create(type, name.c_str(), Uint32Property(options, "keySize"),
                             Uint32Property(options, "valueSize"), Uint32Property(options, "maxEntries"),
                             &create_options));
  if (!fd) throw BpfFailure(env, errno, "create map", name, log);
  return Wrap(env, std::move(fd), name);
}

Napi::Value BpfMap::Wrap(Napi::Env env, UniqueFd fd, std::string name) {
  bpf_map_info shape = {};
  uint32_t size = sizeof(shape);
  if (bpf_obj_get_info_by_fd(fd.get(), &shape, &size) < 0) throw BpfFailure(env, errno, "describe map", name);

  BpfMap* map = NewInstance<BpfMap>(Classes::Of(env).map);
  map->fd_ = std::move(fd);
  map->name_ = std::move(name);
  map->shape_ = {.type = shape.type,
                 .key_size = shape.key_size,
                 .value_size = shape.value_size,
                 .max_entries = shape.max_entries,
                 .flags = shape.map_flags};
  if (IsPerCpu(shape.type)) {
    int cpus = libbpf_num_possible_cpus();
    if (cpus < 0) throw BpfFailure(env, cpus, "count possible CPUs for map", map->name_);
    map->shape_.copies = cpus;
  }
  return map->Value();
}

BpfMap::BpfMap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<BpfMap>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

int BpfMap::Fd(const char* step) const {
  if (!fd_) throw ClosedFailure(Env(), step, name_);
  return fd_.get();
}

MapProgram* BpfMap::Program() const {
  if (!MapProgram::IsEnabled()) return nullptr;
  if (!program_tried_) program_ = MapProgram::Load(fd_.get(), shape_);
  program_tried_ = true;
  return program_.get();
}

MapProgram* BpfMap::ProgramForWriting() const { return MapProgram::Writes(shape_) && !frozen_ ? Program() : nullptr; }

bool BpfMap::IsMappable() const {
  return MapProgram::IsWanted() && shape_.type == BPF_MAP_TYPE_ARRAY && (shape_.flags & BPF_F_MMAPABLE);
}

uint8_t* BpfMap::Mapped(const void* key, bool writable, int& error) const {
  uint32_t index;
  memcpy(&index, key, sizeof(index));
  error = 0;
  if (index >= shape_.max_entries) error = writable ? E2BIG : ENOENT;
  if (!error && (!mapping_.bytes() || (writable && !mapping_.is_writable())))
    error = mapping_.Open(fd_.get(), shape_.Stride() * shape_.max_entries, writable);
  return error ? nullptr : mapping_.bytes() + shape_.Stride() * index;
}

int BpfMap::Read(const void* key, void* value) const {
  int error;
  if (IsMappable()) {
    if (uint8_t* element = Mapped(key, false, error)) memcpy(value, element, shape_.value_size);
    return error;
  }
  if (MapProgram* program = Program()) return program->Lookup(key, value);
  return BySystemCall([&] { return bpf_map_lookup_elem(fd_.get(), key, value); });
}

int BpfMap::Write(const void* key, const void* value) {
  int error;
  if (IsMappable()) {
    if (uint8_t* element = Mapped(key, true, error)) memcpy(element, value, shape_.value_size);
    return error;
  }
  if (MapProgram* program = ProgramForWriting()) return program->Update(key, value);
  return BySystemCall([&] { return bpf_map_update_elem(fd_.get(), key, value, BPF_ANY); });
}

int BpfMap::Remove(const void* key) {
  if (MapProgram* program = ProgramForWriting()) return program->Delete(key);
  return BySystemCall([&] { return bpf_map_delete_elem(fd_.get(), key); });
}

std::optional<std::vector<uint8_t>> BpfMap::ConstantValue() const {
  bool is_constant = shape_.type == BPF_MAP_TYPE_ARRAY && shape_.max_entries == 1 && (shape_.flags & BPF_F_RDONLY_PROG);
  if (!is_constant || !IsFrozen(fd_.get())) return std::nullopt;
  uint32_t key = 0;
  std::vector<uint8_t> value(shape_.value_size);
  if (Read(&key, value.data())) return std::nullopt;
  return value;
}

Napi::Value BpfMap::Lookup(const Napi::CallbackInfo& info) {
  Fd("look up in map");
  Bytes key = BytesArgument(info, 0, "key", shape_.key_size);
  Napi::Uint8Array value = Napi::Uint8Array::New(info.Env(), shape_.TransferSize());
  int error = Read(key.data(), value.Data());
  if (error == 0) return value;
  if (error == ENOENT) return info.Env().Undefined();
  throw BpfFailure(info.Env(), error, "look up in map", name_);
}

void BpfMap::Update(const Napi::CallbackInfo& info) {
  Fd("update map");
  Bytes key = BytesArgument(info, 0, "key", shape_.key_size);
  Bytes value = BytesArgument(info, 1, "value", shape_.TransferSize());
  if (int error = Write(key.data(), value.data())) throw BpfFailure(info.Env(), error, "update map", name_);
}

Napi::Value BpfMap::Delete(const Napi::CallbackInfo& info) {
  Fd("delete from map");
  Bytes key = BytesArgument(info, 0, "key", shape_.key_size);
  int error = Remove(key.data());
  if (error && error != ENOENT) throw BpfFailure(info.Env(), error, "delete from map", name_);
  return Napi::Boolean::New(info.Env(), error == 0);
}

// When the key at hand is deleted meanwhile, the kernel starts over: keys already seen are skipped and the number of
// steps is bounded.
Napi::Value BpfMap::Keys(const Napi::CallbackInfo& info) {
  int fd = Fd("list keys of map");
  Napi::Array keys = Napi::Array::New(info.Env());
  std::unordered_set<std::string> seen;
  std::string key(shape_.key_size, '\0'), next(shape_.key_size, '\0');
  const void* previous = nullptr;
  for (uint64_t steps = 0; steps < 2ull * shape_.max_entries + 1; steps++) {
    if (bpf_map_get_next_key(fd, previous, next.data()) < 0) {
      if (errno == ENOENT) break;
      throw BpfFailure(info.Env(), errno, "list keys of map", name_);
    }
    if (seen.insert(next).second) {
      Napi::Uint8Array bytes = Napi::Uint8Array::New(info.Env(), next.size());
      memcpy(bytes.Data(), next.data(), next.size());
      keys.Set(keys.Length(), bytes);
    }
    key = next;
    previous = key.data();
  }
  return keys;
}

// The kernel refuses this while the map is mapped for writing. A program could still write afterwards.
void BpfMap::Freeze(const Napi::CallbackInfo& info) {
  int fd = Fd("freeze map");
  mapping_.Close();
  if (bpf_map_freeze(fd) < 0) throw BpfFailure(info.Env(), errno, "freeze map", name_);
  frozen_ = true;
  program_.reset();
}

Napi::Value BpfMap::Memlock(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), MemlockBytes(Fd("measure map")));
}

void BpfMap::Close(const Napi::CallbackInfo&) {
  program_.reset();
  mapping_.Close();
  fd_.Reset();
}

Napi::Value BpfMap::Name(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), name_); }
Napi::Value BpfMap::KeySize(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), shape_.key_size); }
Napi::Value BpfMap::ValueSize(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), shape_.value_size);
}
Napi::Value BpfMap::MaxEntries(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), shape_.max_entries);
}
