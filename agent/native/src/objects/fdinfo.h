// Facts about a BPF descriptor that bpf_obj_get_info_by_fd does not have.
#pragma once

#include <cstdint>

// The memlock line of /proc/self/fdinfo; 0 if the kernel does not report it.
uint64_t MemlockBytes(int fd);

// Whether the map is frozen; false if the kernel does not report it.
bool IsFrozen(int fd);
