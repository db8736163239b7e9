#include "perf_event.h"

#include <bpf/bpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

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
  // Process -1 on CPU 0: such an event is not bound to the CPU, its program runs wherever the probe is hit.
  return syscall(__NR_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

std::string KprobeHint(int error, const std::string& symbol) {
  switch (error) {
    case ENOENT:
      return "the kernel has no function " + symbol;
    case EADDRNOTAVAIL:
      return "the kernel has several functions " + symbol;
    case EPERM:
    case EACCES:
      return "perf events need CAP_PERFMON, on Debian and Ubuntu CAP_SYS_ADMIN";
    default:
      return "";
  }
}

std::optional<uint64_t> TracepointId(const std::string& subsystem, const std::string& event) {
  for (const char* root : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    auto id = ReadWord(std::string(root) + "/events/" + subsystem + "/" + event + "/id");
    if (id) return strtoull(id->c_str(), nullptr, 10);
  }
  return std::nullopt;
}

}  // namespace

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
  auto id = TracepointId(subsystem, event);
  if (!id) return {.error = ENOENT, .hint = "no such tracepoint, or tracefs is not mounted"};

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
