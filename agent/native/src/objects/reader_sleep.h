// Tells the programs that fill a ring when its reader sleeps, so that the first record after silence wakes it.
#pragma once

#include <cstdint>

#include "kernel/grace_period.h"
#include "objects/mapped_array.h"
#include "objects/unique_fd.h"

// One __u32 in a map that the programs read when they post: not 0 asks for a wake-up. A program that read 0 just before
// it changed may still be about to post without one; Begin() waits for such programs, so that who looks at the ring
// afterwards sees their records, and no wake-up is lost without a barrier in any program.
class ReaderSleep {
 public:
  ReaderSleep() = default;
  ReaderSleep(const ReaderSleep&) = delete;
  ReaderSleep& operator=(const ReaderSleep&) = delete;
  ~ReaderSleep() { Close(); }

  // `map`: an array of one __u32 that can be mapped (BPF_F_MMAPABLE). 0 or an errno.
  int Open(const UniqueFd& map);
  void Close();
  bool is_open() const { return mapping_.bytes() != nullptr; }

  // From its return on, each program that posts asks for a wake-up. False, with nothing asked for, where the kernel
  // does not let us wait.
  bool Begin();
  void End();

 private:
  uint32_t& flag() { return *reinterpret_cast<uint32_t*>(mapping_.bytes()); }

  GracePeriod period_;
  ArrayMapping mapping_;
};
