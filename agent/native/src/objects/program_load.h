// Loading instructions into the kernel.
#pragma once

#include <linux/bpf.h>
#include <napi.h>

#include <string>
#include <vector>

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

// Throws a BpfError with the verifier's log, where it is not too large to be verified.
UniqueFd LoadProgram(Napi::Env env, const LoadRequest& request);

// ProgramType and AttachType of agent/bpf/binding.ts; a TypeError for any other name.
bpf_prog_type ToProgramType(Napi::Env env, const std::string& name);
bpf_attach_type ToAttachType(Napi::Env env, const std::string& name);
