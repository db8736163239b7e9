#include "kernel/grace_period.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdint>

#include "objects/unique_fd.h"

// The kernel waits so (since 4.20, for one grace period of RCU) before an update of a map of maps returns: its user may
// take for granted that nothing works with the old inner map any more. membarrier() would do the same, but not where
// CPUs run without a timer tick (nohz_full).
int WaitForPrograms() {
  constexpr uint32_t kKey = 0;
  UniqueFd inner(bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", sizeof(kKey), sizeof(uint32_t), 1, nullptr));
  if (!inner) return errno;
  LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = static_cast<uint32_t>(inner.get()));
  UniqueFd outer(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace_outer", sizeof(kKey), sizeof(int), 1, &options));
  if (!outer) return errno;
  const int value = inner.get();
  return bpf_map_update_elem(outer.get(), &kKey, &value, BPF_ANY) < 0 ? errno : 0;
}
