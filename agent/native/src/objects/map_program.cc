#include "objects/map_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "objects/libbpf_log.h"
#include "objects/mapped_array.h"
#include "objects/program_load.h"

// What a program and its caller pass to each other: the operation, the key and then the value. Programs of maps with
// similar sizes share it, one run at a time.
class TransferMemory {
 public:
  static constexpr int32_t kKeyAt = 8;
  static int32_t ValueAt(const MapShape& shape) { return kKeyAt + static_cast<int32_t>((shape.key_size + 7) / 8 * 8); }

  // Nothing, with errno set, if the kernel has no memory for it.
  static std::shared_ptr<TransferMemory> For(const MapShape& shape) {
    static std::mutex lock;
    static std::map<size_t, std::shared_ptr<TransferMemory>> by_size;
    size_t size = std::bit_ceil(ValueAt(shape) + shape.Stride() * std::max<size_t>(shape.copies, 1));
    std::lock_guard guard(lock);
    std::shared_ptr<TransferMemory>& memory = by_size[size];
    if (!memory) memory = Create(size);
    return memory;
  }

  int fd() const { return fd_.get(); }
  uint8_t* bytes() const { return mapping_.bytes(); }

  std::mutex use;

 private:
  static std::shared_ptr<TransferMemory> Create(size_t size) {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    auto memory = std::make_shared<TransferMemory>();
    memory->fd_ = UniqueFd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "transfer", sizeof(uint32_t), size, 1, &options));
    if (!memory->fd_ || memory->mapping_.Open(memory->fd_.get(), size, true)) return nullptr;
    return memory;
  }

  UniqueFd fd_;
  ArrayMapping mapping_;
};

namespace {

enum : uint32_t { kLookup, kUpdate, kDelete };

std::atomic<bool> wanted = false, enabled = false;

bpf_insn Instruction(uint8_t code, uint8_t dst, uint8_t src, int16_t offset, int32_t immediate) {
  return {.code = code, .dst_reg = dst, .src_reg = src, .off = offset, .imm = immediate};
}

// Assembles the program of one map. r6: transfer memory. r7: operation. Of a loop over the CPUs, r8: CPU, r9: the place
// of its copy of the value.
class Assembler {
 public:
  Assembler(int map, const MapShape& shape, int memory) : map_(map), shape_(shape) {
    Wide(BPF_REG_6, BPF_PSEUDO_MAP_VALUE, memory);
    Add(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_7, BPF_REG_6, 0, 0);
  }

  std::vector<bpf_insn> Finish() && { return std::move(code_); }

  void Operation(uint32_t operation, void (Assembler::*body)()) {
    size_t other = Branch(BPF_JNE, BPF_REG_7, static_cast<int32_t>(operation));
    (this->*body)();
    Target(other);
  }

  void LookUp() {
    PassKey();
    Call(BPF_FUNC_map_lookup_elem);
    size_t found = Branch(BPF_JNE, BPF_REG_0, 0);
    Return(-ENOENT);
    Target(found);
    Move(BPF_REG_9, BPF_REG_6, TransferMemory::ValueAt(shape_));
    CopyValue();
    Exit();
  }

  void LookUpOnEachCpu() {
    Immediate(BPF_REG_8, 0);
    Move(BPF_REG_9, BPF_REG_6, TransferMemory::ValueAt(shape_));
    size_t start = code_.size();
    PassKey();
    Move(BPF_REG_3, BPF_REG_8, 0);
    Call(BPF_FUNC_map_lookup_percpu_elem);
    size_t found = Branch(BPF_JNE, BPF_REG_0, 0);
    Return(-ENOENT);
    Target(found);
    CopyValue();
    size_t copied = Branch(BPF_JEQ, BPF_REG_0, 0);
    Exit();
    Target(copied);
    Add(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_9, 0, 0, static_cast<int32_t>(shape_.Stride()));
    Add(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_8, 0, 0, 1);
    auto back = static_cast<int16_t>(start - code_.size() - 1);
    Add(BPF_JMP | BPF_JLT | BPF_K, BPF_REG_8, 0, back, static_cast<int32_t>(shape_.copies));
    Return(0);
  }

  void Update() {
    PassKey();
    Move(BPF_REG_3, BPF_REG_6, TransferMemory::ValueAt(shape_));
    Immediate(BPF_REG_4, BPF_ANY);
    Call(BPF_FUNC_map_update_elem);
    Exit();
  }

  void Delete() {
    PassKey();
    Call(BPF_FUNC_map_delete_elem);
    Exit();
  }

  void RefuseOthers() { Return(-EINVAL); }

 private:
  void Add(uint8_t code, uint8_t dst, uint8_t src, int16_t offset, int32_t immediate) {
    code_.push_back(Instruction(code, dst, src, offset, immediate));
  }
  // Loads the address of a map, or of its value.
  void Wide(uint8_t dst, uint8_t kind, int fd) {
    Add(BPF_LD | BPF_IMM | BPF_DW, dst, kind, 0, fd);
    Add(0, 0, 0, 0, 0);
  }
  void Immediate(uint8_t dst, int32_t value) { Add(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value); }
  void Move(uint8_t dst, uint8_t src, int32_t added) {
    Add(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
    if (added != 0) Add(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, added);
  }
  void Call(bpf_func_id helper) { Add(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
  void Exit() { Add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
  void Return(int32_t value) {
    Immediate(BPF_REG_0, value);
    Exit();
  }
  void PassKey() {
    Wide(BPF_REG_1, BPF_PSEUDO_MAP_FD, map_);
    Move(BPF_REG_2, BPF_REG_6, TransferMemory::kKeyAt);
  }
  // From where r0 points to where r9 does.
  void CopyValue() {
    Move(BPF_REG_3, BPF_REG_0, 0);
    Move(BPF_REG_1, BPF_REG_9, 0);
    Immediate(BPF_REG_2, static_cast<int32_t>(shape_.copies == 0 ? shape_.value_size : shape_.Stride()));
    Call(BPF_FUNC_probe_read_kernel);
  }
  // Of a conditional jump forwards; Target() sets where it goes.
  size_t Branch(uint8_t condition, uint8_t dst, int32_t immediate) {
    Add(BPF_JMP | condition | BPF_K, dst, 0, 0, immediate);
    return code_.size() - 1;
  }
  void Target(size_t branch) { code_[branch].off = static_cast<int16_t>(code_.size() - branch - 1); }

  const int map_;
  const MapShape& shape_;
  std::vector<bpf_insn> code_;
};

std::vector<bpf_insn> Assemble(int map, const MapShape& shape, int memory) {
  Assembler program(map, shape, memory);
  program.Operation(kLookup, shape.copies == 0 ? &Assembler::LookUp : &Assembler::LookUpOnEachCpu);
  if (MapProgram::Writes(shape)) {
    program.Operation(kUpdate, &Assembler::Update);
    program.Operation(kDelete, &Assembler::Delete);
  }
  program.RefuseOthers();
  return std::move(program).Finish();
}

bool HasProgram(const MapShape& shape) {
  switch (shape.type) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_ARRAY:
    case BPF_MAP_TYPE_PERCPU_ARRAY: return true;
    default: return false;
  }
}

// The agent's maps have BPF_F_NO_PREALLOC, which the kernel lets these programs use since 6.1.
bool Works() {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
  LibbpfLog log;
  MapShape shape = {.type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 1};
  UniqueFd map(bpf_map_create(BPF_MAP_TYPE_HASH, "probe", shape.key_size, shape.value_size, 1, &options));
  auto program = map ? MapProgram::Load(map.get(), shape) : nullptr;
  uint32_t key = 7;
  uint64_t value = 0x0102030405060708, read = 0;
  return program && program->Update(&key, &value) == 0 && program->Lookup(&key, &read) == 0 && read == value;
}

}  // namespace

bool MapProgram::Enable() {
  wanted = true;
  if (!enabled) enabled = Works();
  return enabled;
}

bool MapProgram::IsWanted() { return wanted; }

bool MapProgram::IsEnabled() { return enabled; }

bool MapProgram::Writes(const MapShape& shape) { return shape.copies == 0 && !(shape.flags & BPF_F_RDONLY_PROG); }

std::unique_ptr<MapProgram> MapProgram::Load(int map, const MapShape& shape) {
  if (!HasProgram(shape)) return nullptr;
  auto memory = TransferMemory::For(shape);
  if (!memory) return nullptr;
  LoadResult loaded = LoadProgram({.name = "map_operations",
                                   .type = BPF_PROG_TYPE_SYSCALL,
                                   .attach_type = static_cast<bpf_attach_type>(0),
                                   .flags = BPF_F_SLEEPABLE,
                                   .license = "Dual BSD/GPL",
                                   .instructions = Assemble(map, shape, memory->fd())});
  if (!loaded.fd) return nullptr;
  return std::unique_ptr<MapProgram>(new MapProgram(shape, std::move(memory), std::move(loaded.fd)));
}

// The caller holds the memory.
int MapProgram::Run(uint32_t operation, const void* key) {
  memcpy(memory_->bytes(), &operation, sizeof(operation));
  memcpy(memory_->bytes() + TransferMemory::kKeyAt, key, shape_.key_size);
  LIBBPF_OPTS(bpf_test_run_opts, options);
  if (bpf_prog_test_run_opts(program_.get(), &options) < 0) return errno;
  return -static_cast<int>(options.retval);
}

int MapProgram::Lookup(const void* key, void* value) {
  std::lock_guard guard(memory_->use);
  int error = Run(kLookup, key);
  if (error == 0) memcpy(value, memory_->bytes() + TransferMemory::ValueAt(shape_), shape_.TransferSize());
  return error;
}

int MapProgram::Update(const void* key, const void* value) {
  std::lock_guard guard(memory_->use);
  memcpy(memory_->bytes() + TransferMemory::ValueAt(shape_), value, shape_.value_size);
  return Run(kUpdate, key);
}

int MapProgram::Delete(const void* key) {
  std::lock_guard guard(memory_->use);
  return Run(kDelete, key);
}
