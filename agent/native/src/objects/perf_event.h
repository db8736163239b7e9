// Perf events that run BPF programs: kprobes and tracepoints.
#pragma once

#include <cstdint>
#include <string>

#include "objects/unique_fd.h"

struct PerfEvent {
  UniqueFd fd;
  int error = 0;     // errno when fd is invalid
  std::string hint;  // detail beyond the errno; may be empty
};

// The path of tracefs. If it is not mounted, it is mounted for this process alone; empty if that is not possible.
const std::string& TracefsRoot();

// On a kernel function, or its return.
PerfEvent OpenKprobeEvent(const std::string& symbol, bool retprobe);

// On a tracepoint of tracefs.
PerfEvent OpenTracepointEvent(const std::string& subsystem, const std::string& event);

struct PerfAttachment {
  UniqueFd link;  // absent before 5.15: the event then holds the program
  int error = 0;
};

// Runs the program at the event, from now on.
PerfAttachment AttachToPerfEvent(int program_fd, int event_fd);
