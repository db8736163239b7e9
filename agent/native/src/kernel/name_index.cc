#include "kernel/name_index.h"

#include <bit>
#include <functional>
#include <utility>

namespace {

uint32_t Hash(std::string_view name) { return static_cast<uint32_t>(std::hash<std::string_view>()(name)); }

}  // namespace

void NameIndex::Reserve(size_t names) { Resize(std::bit_ceil(names + names / 3 + 1)); }

void NameIndex::Add(const btf* types, std::string_view name, uint32_t id) {
  if (used_ * 4 >= slots_.size() * 3) Resize(slots_.empty() ? 64 : slots_.size() * 2);
  uint32_t hash = Hash(name);
  Slot& slot = slots_[SlotOf(types, name, hash)];
  if (slot.id) return;
  slot = {.hash = hash, .id = id};
  used_++;
}

uint32_t NameIndex::Find(const btf* types, std::string_view name) const {
  return slots_.empty() ? 0 : slots_[SlotOf(types, name, Hash(name))].id;
}

size_t NameIndex::SlotOf(const btf* types, std::string_view name, uint32_t hash) const {
  size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (!slot.id) return at;
    if (slot.hash == hash && name == btf__name_by_offset(types, btf__type_by_id(types, slot.id)->name_off)) return at;
  }
}

void NameIndex::Resize(size_t slots) {
  std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots));
  size_t mask = slots - 1;
  for (const Slot& slot : old) {
    if (!slot.id) continue;
    size_t at = slot.hash & mask;
    while (slots_[at].id) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}
