#include "objects/perf_event.h"

#include <bpf/bpf.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <optional>

namespace {

const std::string kKprobeUnit = "/sys/bus/event_source/devices/kprobe/";

std::optional<std::string> ReadWord(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) return std::nullopt;
  return word;
}

int PerfEventOpen(perf_event_attr& attributes) {
  // Process -1 on CPU 0: such an event is not bound to the CPU, its program runs on every CPU.
  return syscall(__NR_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

std::string KprobeHint(int error, const std::string& symbol) {
  switch (error) {
    case ENOENT: return "the kernel has no function " + symbol;
    case EADDRNOTAVAIL: return "the kernel has several functions " + symbol;
    case EPERM:
    case EACCES: return "perf events need CAP_PERFMON, on Debian and Ubuntu CAP_SYS_ADMIN";
    default: return "";
  }
}

std::optional<uint64_t> TracepointId(const std::string& subsystem, const std::string& event) {
  auto id = ReadWord(TracefsRoot() + "/events/" + subsystem + "/" + event + "/id");
  if (!id) return std::nullopt;
  return strtoull(id->c_str(), nullptr, 10);
}

// A mount that is in no one's tree (5.2+); the descriptor stays open, as the path leads through it.
std::string MountTracefs() {
  UniqueFd context(syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC));
  if (!context || syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) return "";
  static UniqueFd mounted(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY));
  return mounted ? "/proc/self/fd/" + std::to_string(mounted.get()) : "";
}

std::string FindTracefs() {
  for (const char* root : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    if (access((std::string(root) + "/events").c_str(), F_OK) == 0) return root;
  }
  return MountTracefs();
}

}  // namespace

const std::string& TracefsRoot() {
  static const std::string root = FindTracefs();
  return root;
}

PerfEvent OpenKprobeEvent(const std::string& symbol, bool retprobe) {
  auto type = ReadWord(kKprobeUnit + "type");
  if (!type) return {.error = EOPNOTSUPP, .hint = "the kernel has no kprobe events, or /sys is not mounted"};

  perf_event_attr attributes = {};
  attributes.size = sizeof(attributes);
  attributes.type = atoi(type->c_str());
  attributes.config1 = reinterpret_cast<uint64_t>(symbol.c_str());
  if (retprobe) {
    auto format = ReadWord(kKprobeUnit + "format/retprobe");  // config:BIT
    if (!format || !format->starts_with("config:")) return {.error = EOPNOTSUPP, .hint = "no return probes"};
    attributes.config |= 1ull << atoi(format->c_str() + 7);
  }

  UniqueFd fd(PerfEventOpen(attributes));
  if (!fd) return {.error = errno, .hint = KprobeHint(errno, symbol)};
  return {.fd = std::move(fd)};
}

PerfEvent OpenTracepointEvent(const std::string& subsystem, const std::string& event) {
  if (subsystem.find('/') != std::string::npos || event.find('/') != std::string::npos) {
    return {.error = EINVAL, .hint = "a name with a slash"};
  }
  if (TracefsRoot().empty()) return {.error = ENOENT, .hint = "tracefs is not mounted"};
  auto id = TracepointId(subsystem, event);
  if (!id) return {.error = ENOENT, .hint = "no such tracepoint"};

  perf_event_attr attributes = {};
  attributes.size = sizeof(attributes);
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.config = *id;
  UniqueFd fd(PerfEventOpen(attributes));
  if (!fd) return {.error = errno};
  return {.fd = std::move(fd)};
}

PerfAttachment AttachToPerfEvent(int program_fd, int event_fd) {
  UniqueFd link(bpf_link_create(program_fd, event_fd, BPF_PERF_EVENT, nullptr));
  // Before 5.15 there are no perf links: EINVAL. Where it has another reason, the ioctl gives it again.
  if (!link && (errno != EINVAL || ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, program_fd) < 0)) return {.error = errno};
  if (ioctl(event_fd, PERF_EVENT_IOC_ENABLE, 0) < 0) return {.error = errno};
  return {.link = std::move(link)};
}
