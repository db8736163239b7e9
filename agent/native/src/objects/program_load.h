// Loading instructions into the kernel.
#pragma once

#include <linux/bpf.h>
#include <napi.h>

#include <string>
#include <vector>

#include "objects/error.h"
#include "objects/unique_fd.h"

struct LoadRequest {
  std::string name;
  bpf_prog_type type;
  bpf_attach_type attach_type;
  uint32_t attach_btf_id = 0;
  uint32_t flags = 0;
  std::string license;
  uint32_t kernel_version = 0;
  std::vector<bpf_insn> instructions;
};

struct LoadResult {
  UniqueFd fd;  // invalid: refused
  int error = 0;
  FailureDetails details;
};

// Asks the verifier; from any thread.
LoadResult LoadProgram(const LoadRequest& request);

// The loaded program. Throws a BpfError with the verifier's log, where it is not too large to be verified.
UniqueFd LoadedProgram(Napi::Env env, const std::string& name, LoadResult result);

// ProgramType and AttachType of agent/bpf/binding.ts; a TypeError for any other name.
bpf_prog_type ToProgramType(Napi::Env env, const std::string& name);
bpf_attach_type ToAttachType(Napi::Env env, const std::string& name);
