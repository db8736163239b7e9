#include "kernel/grace_period.h"

#include <bpf/bpf.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "objects/map_program.h"
#include "objects/unpreempted.h"

namespace {

constexpr uint32_t kKey = 0;

// membarrier() waits for one grace period, too, but neither with a single CPU nor where CPUs run without a timer tick
// (nohz_full).
bool WaitByBarrier() {
  return sysconf(_SC_NPROCESSORS_ONLN) > 1 && syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
}

}  // namespace

int GracePeriod::Open() {
  if (outer_) return 0;
  inner_ = UniqueFd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", sizeof(kKey), sizeof(uint32_t), 1, nullptr));
  if (!inner_) return errno;
  LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = static_cast<uint32_t>(inner_.get()));
  outer_ = UniqueFd(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace_outer", sizeof(kKey), sizeof(int), 1, &options));
  return outer_ ? 0 : errno;
}

// Since 4.20 an update of a map of maps returns after one grace period of RCU, so that no program uses the old inner map
// any longer. Where kprobes must go on meanwhile, it is the second choice.
int GracePeriod::Wait() {
  const bool keeps_kprobes = MapProgram::IsWanted();
  if (keeps_kprobes && WaitByBarrier()) return 0;
  const int value = inner_.get();
  Unpreempted scope(keeps_kprobes);
  return bpf_map_update_elem(outer_.get(), &kKey, &value, BPF_ANY) < 0 ? errno : 0;
}

int WaitForPrograms() {
  GracePeriod period;
  const int error = period.Open();
  return error ? error : period.Wait();
}
