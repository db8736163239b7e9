#include "objects/error.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>

namespace {

// BPF map operations answer this kernel-internal number, which libc has no name for.
constexpr int kErrnoNotSupp = 524;

// libbpf has numbers of its own, from 4000 on, for files that it cannot read.
bool IsLibbpfError(int error) { return error >= __LIBBPF_ERRNO__START && error < __LIBBPF_ERRNO__END; }

std::string ErrnoName(int error) {
  if (error == kErrnoNotSupp) return "ENOTSUPP";
  const char* name = strerrorname_np(error);
  return name ? name : "E" + std::to_string(error);
}

std::string ErrnoText(int error) {
  return error == kErrnoNotSupp ? "Operation not supported" : strerrordesc_np(error) ?: "Unknown error";
}

// The kernel lacked a resource at that moment, or was busy.
bool IsTransient(int error) { return error == EAGAIN || error == EBUSY || error == EINTR || error == ENOMEM; }

// The verifier gives its reason just before its statistics.
std::string VerifierReason(const std::string& log) {
  size_t end = log.size();
  while (end > 0) {
    size_t begin = log.rfind('\n', end - 1);
    begin = begin == std::string::npos ? 0 : begin + 1;
    std::string line = log.substr(begin, end - begin);
    bool statistics =
        line.starts_with("processed ") || line.starts_with("verification time") || line.starts_with("stack depth");
    if (!line.empty() && !statistics) return line;
    if (begin == 0) break;
    end = begin - 1;
  }
  return "";
}

std::string Reason(int error, const FailureDetails& details, const std::string& verifier_reason) {
  if (!details.hint.empty()) return details.hint;
  return verifier_reason.empty() ? ErrnoText(error) : verifier_reason;
}

}  // namespace

Napi::Error BpfFailure(Napi::Env env, int error, std::string_view step, std::string_view subject,
                       FailureDetails details) {
  error = error < 0 ? -error : error;
  if (IsLibbpfError(error)) error = ENOEXEC;
  std::string code = ErrnoName(error);
  std::string verifier_reason = VerifierReason(details.verifier_log);
  std::string message;
  message.append(step).append(" ").append(subject).append(": ").append(code);
  message.append(" (").append(Reason(error, details, verifier_reason)).append(")");

  Napi::Error failure = Napi::Error::New(env, message);
  Napi::Object object = failure.Value();
  object.DefineProperty(Napi::PropertyDescriptor::Value("name", Napi::String::New(env, "BpfError"), napi_writable));
  object.Set("code", code);
  object.Set("errno", error);
  object.Set("step", std::string(step));
  object.Set("subject", std::string(subject));
  object.Set("transient", IsTransient(error));
  if (!verifier_reason.empty()) object.Set("verifierReason", verifier_reason);
  if (!details.verifier_log.empty()) object.Set("verifierLog", details.verifier_log);
  if (!details.libbpf_log.empty()) object.Set("libbpfLog", details.libbpf_log);
  return failure;
}

Napi::Error BpfFailure(Napi::Env env, int error, std::string_view step, std::string_view subject,
                       const LibbpfLog& log) {
  return BpfFailure(env, error, step, subject, {.hint = log.LastMessage(), .libbpf_log = log.Messages()});
}

Napi::Error ClosedFailure(Napi::Env env, std::string_view step, std::string_view subject) {
  return BpfFailure(env, EBADF, step, subject, {.hint = "used after close()"});
}
