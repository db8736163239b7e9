#include "objects/reader_sleep.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace {

// The value of an array map is a page of its own at the start of the mapping.
size_t MappedBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

int ReaderSleep::Open(const UniqueFd& map) {
  if (int error = period_.Open()) return error;
  void* page = mmap(nullptr, MappedBytes(), PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
  if (page == MAP_FAILED) return errno;
  flag_ = static_cast<uint32_t*>(page);
  return 0;
}

void ReaderSleep::Close() {
  if (flag_ == nullptr) return;
  End();
  munmap(flag_, MappedBytes());
  flag_ = nullptr;
}

bool ReaderSleep::Begin() {
  std::atomic_ref(*flag_).store(1);
  if (period_.Wait() == 0) return true;
  End();
  return false;
}

void ReaderSleep::End() { std::atomic_ref(*flag_).store(0); }
