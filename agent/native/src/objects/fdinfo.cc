#include "objects/fdinfo.h"

#include <fstream>
#include <string>

namespace {

// 0 where there is no such line.
uint64_t NumberIn(int fd, const std::string& wanted) {
  std::ifstream lines("/proc/self/fdinfo/" + std::to_string(fd));
  std::string key;
  uint64_t value = 0;
  while (lines >> key) {
    if (key == wanted) return lines >> value ? value : 0;
    lines.ignore(4096, '\n');
  }
  return 0;
}

}  // namespace

uint64_t MemlockBytes(int fd) { return NumberIn(fd, "memlock:"); }

bool IsFrozen(int fd) { return NumberIn(fd, "frozen:"); }
