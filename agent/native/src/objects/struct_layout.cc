#include "objects/struct_layout.h"

namespace {

uint32_t SizeOf(const btf* types, uint32_t type_id) {
  long long size = btf__resolve_size(types, type_id);
  return size < 0 ? 0 : static_cast<uint32_t>(size);
}

bool Visit(const btf* types, uint32_t type_id, uint32_t base_bits, const MemberVisitor& visit) {
  const btf_type* type = btf__type_by_id(types, type_id);
  for (uint16_t i = 0; i < btf_vlen(type); i++) {
    const btf_member& member = btf_members(type)[i];
    uint32_t bits = base_bits + btf_member_bit_offset(type, i);
    const char* name = btf__name_by_offset(types, member.name_off);
    bool goes_on;
    if (*name != '\0') {
      uint32_t width = btf_member_bitfield_size(type, i);
      uint32_t size = width ? (bits % 8 + width + 7) / 8 : SizeOf(types, member.type);
      goes_on = visit(name, {bits / 8, size});
    } else {
      const btf_type* inner = btf__type_by_id(types, member.type);
      goes_on = !btf_is_composite(inner) || Visit(types, member.type, bits, visit);
    }
    if (!goes_on) return false;
  }
  return true;
}

}  // namespace

void VisitMembers(const btf* types, uint32_t type_id, const MemberVisitor& visit) { Visit(types, type_id, 0, visit); }
