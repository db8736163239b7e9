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

  LIBBPF_OPTS(bpf_map_create_opts, create_options, .map_flags = Uint32Property(options, "flags", 0));
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
  map->type_ = shape.type;
  map->key_size_ = shape.key_size;
  map->value_size_ = shape.value_size;
  map->max_entries_ = shape.max_entries;
  map->flags_ = shape.map_flags;
  if (IsPerCpu(shape.type)) {
    int cpus = libbpf_num_possible_cpus();
    if (cpus < 0) throw BpfFailure(env, cpus, "count possible CPUs for map", map->name_);
    map->per_cpu_copies_ = cpus;
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

std::optional<std::vector<uint8_t>> BpfMap::ConstantValue() const {
  bool is_constant = type_ == BPF_MAP_TYPE_ARRAY && max_entries_ == 1 && (flags_ & BPF_F_RDONLY_PROG);
  if (!is_constant || !IsFrozen(fd_.get())) return std::nullopt;
  uint32_t key = 0;
  std::vector<uint8_t> value(value_size_);
  if (bpf_map_lookup_elem(fd_.get(), &key, value.data()) < 0) return std::nullopt;
  return value;
}

size_t BpfMap::TransferSize() const {
  if (per_cpu_copies_ == 0) return value_size_;
  return (value_size_ + 7) / 8 * 8 * per_cpu_copies_;
}

Napi::Value BpfMap::Lookup(const Napi::CallbackInfo& info) {
  int fd = Fd("look up in map");
  Bytes key = BytesArgument(info, 0, "key", key_size_);
  Napi::Uint8Array value = Napi::Uint8Array::New(info.Env(), TransferSize());
  if (bpf_map_lookup_elem(fd, key.data(), value.Data()) == 0) return value;
  if (errno == ENOENT) return info.Env().Undefined();
  throw BpfFailure(info.Env(), errno, "look up in map", name_);
}

void BpfMap::Update(const Napi::CallbackInfo& info) {
  int fd = Fd("update map");
  Bytes key = BytesArgument(info, 0, "key", key_size_);
  Bytes value = BytesArgument(info, 1, "value", TransferSize());
  if (bpf_map_update_elem(fd, key.data(), value.data(), BPF_ANY) < 0) {
    throw BpfFailure(info.Env(), errno, "update map", name_);
  }
}

Napi::Value BpfMap::Delete(const Napi::CallbackInfo& info) {
  int fd = Fd("delete from map");
  Bytes key = BytesArgument(info, 0, "key", key_size_);
  bool deleted = bpf_map_delete_elem(fd, key.data()) == 0;
  if (!deleted && errno != ENOENT) throw BpfFailure(info.Env(), errno, "delete from map", name_);
  return Napi::Boolean::New(info.Env(), deleted);
}

// When the key at hand is deleted meanwhile, the kernel starts over: keys already seen are skipped and the number of
// steps is bounded.
Napi::Value BpfMap::Keys(const Napi::CallbackInfo& info) {
  int fd = Fd("list keys of map");
  Napi::Array keys = Napi::Array::New(info.Env());
  std::unordered_set<std::string> seen;
  std::string key(key_size_, '\0'), next(key_size_, '\0');
  const void* previous = nullptr;
  for (uint64_t steps = 0; steps < 2ull * max_entries_ + 1; steps++) {
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

void BpfMap::Freeze(const Napi::CallbackInfo& info) {
  if (bpf_map_freeze(Fd("freeze map")) < 0) throw BpfFailure(info.Env(), errno, "freeze map", name_);
}

Napi::Value BpfMap::Memlock(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), MemlockBytes(Fd("measure map")));
}

void BpfMap::Close(const Napi::CallbackInfo&) { fd_.Reset(); }

Napi::Value BpfMap::Name(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), name_); }
Napi::Value BpfMap::KeySize(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), key_size_); }
Napi::Value BpfMap::ValueSize(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), value_size_); }
Napi::Value BpfMap::MaxEntries(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), max_entries_); }
