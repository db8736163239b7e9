// Map operations that a BPF program carries out, in place of the bpf() system call.
//
// While that call is in a map operation, the kernel runs no kprobe program on its CPU (bpf_prog_active). If it is
// preempted there, the hooks miss what other tasks call on that CPU. A program that user space runs
// (BPF_PROG_TYPE_SYSCALL) does the same without switching kprobes off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "objects/unique_fd.h"

struct MapShape {
  uint32_t type = 0, key_size = 0, value_size = 0, max_entries = 0, flags = 0;
  size_t copies = 0;  // of a value, one for each possible CPU; 0: not a per-CPU map

  // From one copy or element of an array to the next.
  size_t Stride() const { return (static_cast<size_t>(value_size) + 7) / 8 * 8; }
  // Bytes that a look-up returns and an update takes.
  size_t TransferSize() const { return copies == 0 ? value_size : Stride() * copies; }
};

class TransferMemory;

class MapProgram {
 public:
  // From now on this process avoids the system call. False where the kernel has no such programs (before 6.1).
  static bool Enable();
  static bool IsWanted();
  static bool IsEnabled();

  // Nothing, where the kernel has no program for such a map.
  static std::unique_ptr<MapProgram> Load(int map, const MapShape& shape);

  // 0 or an errno: ENOENT if there is no such key.
  int Lookup(const void* key, void* value);
  int Update(const void* key, const void* value);
  int Delete(const void* key);

  // Programs may neither update nor delete in a per-CPU map (of another CPU) or one with BPF_F_RDONLY_PROG.
  static bool Writes(const MapShape& shape);

 private:
  MapProgram(const MapShape& shape, std::shared_ptr<TransferMemory> memory, UniqueFd program)
      : shape_(shape), memory_(std::move(memory)), program_(std::move(program)) {}
  int Run(uint32_t operation, const void* key);

  MapShape shape_;
  std::shared_ptr<TransferMemory> memory_;
  UniqueFd program_;
};
