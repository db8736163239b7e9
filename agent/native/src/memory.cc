#include "memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace {

struct Mapping {
  uintptr_t start;
  uintptr_t end;
};

bool IsProgramFile(const char* permissions, unsigned long inode) {
  return inode != 0 && permissions[0] == 'r' && permissions[1] == '-' && permissions[3] == 'p';
}

// Mappings of files whose pages are all the file's own. A page that was changed, as by a relocation, is anonymous: it
// would be lost.
std::vector<Mapping> CleanFileMappings() {
  std::vector<Mapping> found;
  std::unique_ptr<FILE, int (*)(FILE*)> smaps(fopen("/proc/self/smaps", "re"), fclose);
  if (!smaps) return found;
  Mapping mapping = {};
  bool candidate = false;
  char line[512];
  while (fgets(line, sizeof line, smaps.get())) {
    char permissions[5];
    unsigned long start, end, kilobytes, inode;
    if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %lu", &start, &end, permissions, &inode) == 4) {
      mapping = {.start = start, .end = end};
      candidate = IsProgramFile(permissions, inode);
    } else if (candidate && sscanf(line, "Anonymous: %lu", &kilobytes) == 1 && kilobytes == 0) {
      found.push_back(mapping);
    }
  }
  return found;
}

// A heap's free end up to this size stays: batches of events come and go within it.
constexpr int kSpareBytes = 4 << 20;

}  // namespace

void KeepHeapsSmall() {
  // Setting one of the two ends the adaptation of both.
  mallopt(M_TRIM_THRESHOLD, kSpareBytes);
  mallopt(M_MMAP_THRESHOLD, kSpareBytes);
}

void ReleaseUnusedMemory() {
  malloc_trim(0);
  for (const auto& [start, end] : CleanFileMappings()) {
    madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
  }
}
