#include "fdinfo.h"

#include <fstream>
#include <string>

uint64_t MemlockBytes(int fd) {
  std::ifstream lines("/proc/self/fdinfo/" + std::to_string(fd));
  std::string key;
  uint64_t value = 0;
  while (lines >> key) {
    if (key == "memlock:") return lines >> value ? value : 0;
    lines.ignore(4096, '\n');
  }
  return 0;
}
