// Types of a BTF by name.
#pragma once

#include <bpf/btf.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

// Ids in an open hash table. The names stay in the BTF: a kernel has 60,000 functions.
class NameIndex {
 public:
  // Has room for so many names at once; it grows for more.
  void Reserve(size_t names);
  // The first of several types with one name is kept, as in libbpf and the kernel.
  void Add(const btf* types, std::string_view name, uint32_t id);
  // 0 if there is none.
  uint32_t Find(const btf* types, std::string_view name) const;

 private:
  struct Slot {
    uint32_t hash, id;  // no id: free
  };

  // Of the name, or the free slot that it would get.
  size_t SlotOf(const btf* types, std::string_view name, uint32_t hash) const;
  void Resize(size_t slots);

  std::vector<Slot> slots_;  // a power of two of them
  size_t used_ = 0;
};
