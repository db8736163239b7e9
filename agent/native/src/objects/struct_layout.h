// Members of a struct by name, looked through anonymous members.
#pragma once

#include <bpf/btf.h>

#include <cstdint>
#include <functional>

// Size and byte offset; a bit field counts as the bytes that hold it.
struct Member {
  uint32_t offset;
  uint32_t size;
};

// Called with every named member; returning false ends it.
using MemberVisitor = std::function<bool(const char* name, Member member)>;

// The members of a struct or union type.
void VisitMembers(const btf* types, uint32_t type_id, const MemberVisitor& visit);
