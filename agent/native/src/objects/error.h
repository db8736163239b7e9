// The one error type that leaves the addon.
#pragma once

#include <napi.h>

#include <string>
#include <string_view>

#include "objects/libbpf_log.h"

struct FailureDetails {
  std::string hint;          // the reason as a sentence; if empty, the description of the errno
  std::string verifier_log;  // where a program was refused
  std::string libbpf_log;    // what libbpf logged meanwhile
};

// A BpfError of agent/bpf/binding.ts: `throw BpfFailure(env, errno, "attach kprobe", symbol)`.
Napi::Error BpfFailure(Napi::Env env, int error, std::string_view step, std::string_view subject,
                       FailureDetails details = {});

// The same with libbpf's log.
Napi::Error BpfFailure(Napi::Env env, int error, std::string_view step, std::string_view subject, const LibbpfLog& log);

// Use of a handle after close().
Napi::Error ClosedFailure(Napi::Env env, std::string_view step, std::string_view subject);
