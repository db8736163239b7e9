#include "memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
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

// The fields of a mapping begin with a capital letter, its first line with a digit of its address.
bool IsField(const char* line) { return line[0] >= 'A' && line[0] <= 'Z'; }

bool IsAllOfFile(const char* line) {
  constexpr char kName[] = "Anonymous:";
  unsigned long kilobytes;
  return strncmp(line, kName, sizeof(kName) - 1) == 0 && sscanf(line, "Anonymous: %lu", &kilobytes) == 1 &&
         kilobytes == 0;
}

// Mappings of files whose pages are all the file's own. A page that was changed, as by a relocation, is anonymous: it
// would be lost. Reads no further than `limit`: the kernel counts the pages of each mapping while it is read, and a
// program comes first where it has a fixed address.
std::vector<Mapping> CleanFileMappings(uintptr_t limit) {
  std::vector<Mapping> found;
  std::unique_ptr<FILE, int (*)(FILE*)> smaps(fopen("/proc/self/smaps", "re"), fclose);
  if (!smaps) return found;
  Mapping mapping = {};
  bool candidate = false;
  char line[512];
  while (fgets(line, sizeof line, smaps.get())) {
    char permissions[5];
    unsigned long start, end, inode;
    if (IsField(line)) {
      if (candidate && IsAllOfFile(line)) found.push_back(mapping);
    } else if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %lu", &start, &end, permissions, &inode) == 4) {
      if (start >= limit) break;
      mapping = {.start = start, .end = end};
      candidate = IsProgramFile(permissions, inode);
    }
  }
  return found;
}

// Where the program itself is, without its libraries.
Mapping OwnProgram() {
  Mapping own = {.start = UINTPTR_MAX, .end = 0};
  auto measure = [](dl_phdr_info* info, size_t, void* data) {
    Mapping& mapping = *static_cast<Mapping*>(data);
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
      const auto& segment = info->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD) continue;
      uintptr_t start = info->dlpi_addr + segment.p_vaddr;
      mapping.start = std::min(mapping.start, start);
      mapping.end = std::max(mapping.end, start + segment.p_memsz);
    }
    return 1;  // it comes first
  };
  dl_iterate_phdr(measure, &own);
  return own;
}

void ReleasePages(const Mapping& within) {
  for (const auto& [start, end] : CleanFileMappings(within.end))
    if (end > within.start && start < within.end) madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
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
  ReleasePages({.start = 0, .end = UINTPTR_MAX});
}

void TrimMemory() {
  malloc_trim(0);
  ReleasePages(OwnProgram());
}
