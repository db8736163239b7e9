// What the kernel tells of a BPF descriptor beside bpf_obj_get_info_by_fd.
#pragma once

#include <cstdint>

// The memlock line of /proc/self/fdinfo; 0 where the kernel does not tell.
uint64_t MemlockBytes(int fd);

// Whether user space can write to the map no more; false where the kernel does not tell.
bool IsFrozen(int fd);
