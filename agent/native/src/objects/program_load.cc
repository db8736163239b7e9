#include "objects/program_load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <unordered_map>

#include "objects/error.h"
#include "objects/signal_block.h"

namespace {

constexpr size_t kFirstLogBytes = 1 << 20;
constexpr size_t kLastLogBytes = 16 << 20;

int TryLoad(const LoadRequest& request, char* log, size_t log_size) {
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = request.attach_type, .prog_flags = request.flags,
              .kern_version = request.kernel_version, .attach_btf_id = request.attach_btf_id,
              .log_level = log ? 1u : 0u, .log_size = static_cast<uint32_t>(log_size), .log_buf = log);
  // The verifier gives up with EAGAIN as soon as a signal is pending. A profiler sends them faster than some programs
  // are verified, so signals wait; those that cannot be made to wait (stop and continue) cost another try.
  SignalBlock uninterrupted;
  int fd;
  do {
    fd = bpf_prog_load(request.type, request.name.c_str(), request.license.c_str(), request.instructions.data(),
                       request.instructions.size(), &options);
  } while (fd < 0 && errno == EAGAIN);
  return fd;
}

// Kernels before 6.4 keep the beginning of a log that does not fit, and answer ENOSPC.
std::string VerifierLogOf(const LoadRequest& request) {
  std::string log;
  for (size_t size = kFirstLogBytes; size <= kLastLogBytes; size *= 4) {
    log.assign(size, '\0');
    UniqueFd accepted(TryLoad(request, log.data(), log.size()));
    if (accepted || errno != ENOSPC) break;
  }
  log.resize(strnlen(log.data(), log.size()));
  return KeepEnd(std::move(log));
}

template <typename T>
T ByName(Napi::Env env, const std::unordered_map<std::string, T>& values, const std::string& name, const char* what) {
  auto found = values.find(name);
  if (found == values.end()) throw Napi::TypeError::New(env, std::string(what) + ": unknown value " + name);
  return found->second;
}

}  // namespace

LoadResult LoadProgram(const LoadRequest& request) {
  LibbpfLog log;
  // Without a log first: writing it makes verification several times slower.
  LoadResult result = {.fd = UniqueFd(TryLoad(request, nullptr, 0))};
  if (result.fd) return result;

  result.error = errno;
  // The verifier has reached its limit of instructions: a second run would only log a million of them.
  if (result.error == E2BIG)
    result.details.hint = "too many instructions or jumps for the verifier";
  else
    result.details.verifier_log = VerifierLogOf(request);
  result.details.libbpf_log = log.Messages();
  return result;
}

UniqueFd LoadedProgram(Napi::Env env, const std::string& name, LoadResult result) {
  if (result.fd) return std::move(result.fd);
  throw BpfFailure(env, result.error, "load program", name, std::move(result.details));
}

bpf_prog_type ToProgramType(Napi::Env env, const std::string& name) {
  static const std::unordered_map<std::string, bpf_prog_type> types = {
      {"kprobe",         BPF_PROG_TYPE_KPROBE        },
      {"tracing",        BPF_PROG_TYPE_TRACING       },
      {"raw_tracepoint", BPF_PROG_TYPE_RAW_TRACEPOINT},
      {"tracepoint",     BPF_PROG_TYPE_TRACEPOINT    },
      {"lsm",            BPF_PROG_TYPE_LSM           },
  };
  return ByName(env, types, name, "type");
}

bpf_attach_type ToAttachType(Napi::Env env, const std::string& name) {
  static const std::unordered_map<std::string, bpf_attach_type> types = {
      {"none",          static_cast<bpf_attach_type>(0)},
      {"trace_fentry",  BPF_TRACE_FENTRY               },
      {"trace_fexit",   BPF_TRACE_FEXIT                },
      {"modify_return", BPF_MODIFY_RETURN              },
      {"trace_raw_tp",  BPF_TRACE_RAW_TP               },
      {"trace_iter",    BPF_TRACE_ITER                 },
      {"lsm_mac",       BPF_LSM_MAC                    },
  };
  return ByName(env, types, name, "expectedAttachType");
}
