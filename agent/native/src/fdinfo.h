// Kernel memory behind a BPF descriptor.
#pragma once

#include <cstdint>

// The memlock line of /proc/self/fdinfo; 0 where the kernel does not tell.
uint64_t MemlockBytes(int fd);
