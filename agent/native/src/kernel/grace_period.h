// Waiting for BPF programs that run.
#pragma once

#include "objects/unique_fd.h"

// Waits for programs again and again without making anything anew.
class GracePeriod {
 public:
  // 0 or an errno. Idempotent.
  int Open();
  // Returns when every program that ran at the time of the call has ended, and every CPU has left the probe it was in;
  // programs that may sleep excepted. Returns 0 or an errno.
  int Wait();

 private:
  UniqueFd inner_, outer_;
};

// The same, once.
int WaitForPrograms();
