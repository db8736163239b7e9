#include "kernel/type_name.h"

namespace {

// C declares inside out: `declarator` is what was read so far, around which the rest of the type goes.
std::string Declare(const btf* types, uint32_t type_id, const std::string& declarator);

std::string Joined(const std::string& base, const std::string& declarator) {
  return declarator.empty() ? base : base + " " + declarator;
}

std::string Named(const btf* types, const btf_type* type, const char* keyword) {
  const char* name = btf__name_by_offset(types, type->name_off);
  return std::string(keyword) + (*name ? name : "{...}");
}

std::string Parameters(const btf* types, const btf_type* function) {
  std::string list;
  for (uint16_t i = 0; i < btf_vlen(function); i++) {
    const btf_param& parameter = btf_params(function)[i];
    bool variadic = parameter.type == 0 && parameter.name_off == 0;
    if (!list.empty()) list += ", ";
    list += variadic ? "..." : TypeName(types, parameter.type);
  }
  return list.empty() ? "void" : list;
}

// Arrays and functions bind closer than pointers.
std::string Enclosed(const std::string& declarator) {
  return declarator.starts_with('*') ? "(" + declarator + ")" : declarator;
}

// A qualifier stands before the name of what it qualifies, but after the star of a pointer.
std::string Qualified(const btf* types, const btf_type* type, const char* qualifier, const std::string& declarator) {
  const btf_type* target = type->type ? btf__type_by_id(types, type->type) : nullptr;
  if (target && btf_is_ptr(target)) return Declare(types, type->type, Joined(qualifier, declarator));
  return std::string(qualifier) + " " + Declare(types, type->type, declarator);
}

std::string Declare(const btf* types, uint32_t type_id, const std::string& declarator) {
  if (type_id == 0) return Joined("void", declarator);
  const btf_type* type = btf__type_by_id(types, type_id);
  if (!type) return Joined("?", declarator);

  switch (btf_kind(type)) {
    case BTF_KIND_STRUCT: return Joined(Named(types, type, "struct "), declarator);
    case BTF_KIND_UNION: return Joined(Named(types, type, "union "), declarator);
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64: return Joined(Named(types, type, "enum "), declarator);
    case BTF_KIND_FWD: return Joined(Named(types, type, btf_kflag(type) ? "union " : "struct "), declarator);
    case BTF_KIND_PTR: return Declare(types, type->type, "*" + declarator);
    case BTF_KIND_CONST: return Qualified(types, type, "const", declarator);
    case BTF_KIND_VOLATILE: return Qualified(types, type, "volatile", declarator);
    case BTF_KIND_RESTRICT: return Qualified(types, type, "restrict", declarator);
    case BTF_KIND_TYPE_TAG:  // __user, __rcu: newer kernels only, so left out
      return Declare(types, type->type, declarator);
    case BTF_KIND_ARRAY: {
      const auto* array = btf_array(type);
      return Declare(types, array->type, Enclosed(declarator) + "[" + std::to_string(array->nelems) + "]");
    }
    case BTF_KIND_FUNC_PROTO:
      return Declare(types, type->type, Enclosed(declarator) + "(" + Parameters(types, type) + ")");
    default:  // integers, floats, typedefs
      return Joined(Named(types, type, ""), declarator);
  }
}

}  // namespace

std::string TypeName(const btf* types, uint32_t type_id) { return Declare(types, type_id, ""); }
