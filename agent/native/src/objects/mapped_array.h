// The memory of an array map with BPF_F_MMAPABLE, as this process sees it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

class ArrayMapping {
 public:
  ArrayMapping() = default;
  ArrayMapping(const ArrayMapping&) = delete;
  ArrayMapping& operator=(const ArrayMapping&) = delete;
  ~ArrayMapping() { Close(); }

  // 0 or an errno: EPERM for writing to a frozen map.
  int Open(int map, size_t bytes, bool writable) {
    size_t page = sysconf(_SC_PAGESIZE);
    size_t size = (bytes + page - 1) / page * page;
    void* start = mmap(nullptr, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, map, 0);
    if (start == MAP_FAILED) return errno;
    Close();
    bytes_ = static_cast<uint8_t*>(start);
    size_ = size;
    writable_ = writable;
    return 0;
  }

  void Close() {
    if (bytes_) munmap(bytes_, size_);
    bytes_ = nullptr;
    writable_ = false;
  }

  uint8_t* bytes() const { return bytes_; }
  bool is_writable() const { return writable_; }

 private:
  uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
  bool writable_ = false;
};
