// Keeps other tasks from the CPU while this thread makes a short system call.
#pragma once

#include <sched.h>

// With CAP_SYS_NICE the thread is a real-time task while the scope lives, so no ordinary task preempts it. Without, it
// has a new time slice when the scope begins.
class Unpreempted {
 public:
  explicit Unpreempted(bool wanted) {
    if (!wanted) return;
    policy_ = sched_getscheduler(0);
    sched_param lowest = {.sched_priority = 1};
    is_real_time_ = policy_ == SCHED_OTHER && sched_setscheduler(0, SCHED_FIFO, &lowest) == 0;
    if (!is_real_time_) sched_yield();
  }
  ~Unpreempted() {
    sched_param none = {};
    if (is_real_time_) sched_setscheduler(0, policy_, &none);
  }
  Unpreempted(const Unpreempted&) = delete;
  Unpreempted& operator=(const Unpreempted&) = delete;

 private:
  int policy_ = SCHED_OTHER;
  bool is_real_time_ = false;
};
