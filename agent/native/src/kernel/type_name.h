// Names of BTF types as C spells them.
#pragma once

#include <bpf/btf.h>

#include <cstdint>
#include <string>

// `struct cred *`, `const char *`, `unsigned int`, `kuid_t`, `int (*)(void *)`; id 0 is `void`.
std::string TypeName(const btf* types, uint32_t type_id);
