#include "objects/program_image.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "objects/signal_block.h"

namespace {

// The object that this thread is loading, for the callback from inside of bpf_object__load().
thread_local OpenObject* loading = nullptr;

// without_trust() of bpf/include/core.h: the one function of the kernel that programs call.
bool IsCast(const bpf_insn& instruction) {
  return instruction.code == (BPF_JMP | BPF_CALL) && instruction.src_reg == BPF_PSEUDO_KFUNC_CALL;
}

// Puts the id into calls of bpf_rdonly_cast, or moves in their place. Returns 0 or a negative errno.
int CompleteCasts(bpf_program* program, uint32_t rdonly_cast) {
  constexpr bpf_insn kMove = {
      .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_1, .off = 0, .imm = 0};
  std::span incomplete(bpf_program__insns(program), bpf_program__insn_cnt(program));
  if (std::none_of(incomplete.begin(), incomplete.end(), IsCast)) return 0;
  std::vector<bpf_insn> instructions(incomplete.begin(), incomplete.end());
  for (bpf_insn& instruction : instructions) {
    if (!IsCast(instruction)) continue;
    if (rdonly_cast)
      instruction.imm = static_cast<int32_t>(rdonly_cast);
    else
      instruction = kMove;
  }
  return bpf_program__set_insns(program, instructions.data(), instructions.size());
}

int KeepTemplate(bpf_program* program, bpf_prog_load_opts* options, long) {
  if (!loading) return -EINVAL;
  const bpf_insn* instructions = bpf_program__insns(program);
  loading->templates[bpf_program__name(program)] = {
      .instructions = {instructions, instructions + bpf_program__insn_cnt(program)},
      .type = bpf_program__type(program),
      .attach_type = bpf_program__expected_attach_type(program),
  };

  bpf_insn stand_in[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT,          .dst_reg = 0,         .src_reg = 0, .off = 0, .imm = 0},
  };
  options->expected_attach_type = static_cast<bpf_attach_type>(0);
  options->func_info_cnt = 0;
  options->line_info_cnt = 0;
  if (int error = bpf_program__set_type(program, BPF_PROG_TYPE_SOCKET_FILTER)) return error;
  return bpf_program__set_insns(program, stand_in, std::size(stand_in));
}

struct TemplateSection {
  const char* name;
  bpf_prog_type type;
  bpf_attach_type attach_type;
};

constexpr bpf_attach_type kNoAttachType = static_cast<bpf_attach_type>(0);
constexpr TemplateSection kTemplateSections[] = {
    {"fentry",     BPF_PROG_TYPE_TRACING,        BPF_TRACE_FENTRY },
    {"fexit",      BPF_PROG_TYPE_TRACING,        BPF_TRACE_FEXIT  },
    {"fmod_ret",   BPF_PROG_TYPE_TRACING,        BPF_MODIFY_RETURN},
    {"iter",       BPF_PROG_TYPE_TRACING,        BPF_TRACE_ITER   },
    {"lsm",        BPF_PROG_TYPE_LSM,            BPF_LSM_MAC      },
    {"kprobe",     BPF_PROG_TYPE_KPROBE,         kNoAttachType    },
    {"kretprobe",  BPF_PROG_TYPE_KPROBE,         kNoAttachType    },
    {"tracepoint", BPF_PROG_TYPE_TRACEPOINT,     kNoAttachType    },
    {"tp",         BPF_PROG_TYPE_TRACEPOINT,     kNoAttachType    },
    {"raw_tp",     BPF_PROG_TYPE_RAW_TRACEPOINT, kNoAttachType    },
};

bool RefersToMap(const bpf_insn& instruction) {
  return instruction.code == (BPF_LD | BPF_IMM | BPF_DW) &&
         (instruction.src_reg == BPF_PSEUDO_MAP_FD || instruction.src_reg == BPF_PSEUDO_MAP_VALUE);
}

}  // namespace

void RegisterTemplateSections() {
  static std::once_flag once;
  std::call_once(once, [] {
    LIBBPF_OPTS(libbpf_prog_handler_opts, options, .prog_prepare_load_fn = KeepTemplate);
    for (const TemplateSection& section : kTemplateSections) {
      libbpf_register_prog_handler(section.name, section.type, section.attach_type, &options);
    }
  });
}

int OpenObject::Load(uint32_t rdonly_cast) {
  load_tried = true;
  bpf_program* program;
  bpf_object__for_each_program(program, object) {
    if (int error = CompleteCasts(program, rdonly_cast)) return error;
  }
  loading = this;
  SignalBlock uninterrupted;  // libbpf tries a load that a signal interrupts five times only
  int error = bpf_object__load(object);
  loading = nullptr;
  loaded = error == 0;
  return error;
}

std::vector<bpf_insn> ProgramImage::WithMaps(const std::unordered_map<int, int>& replacements) const {
  std::vector<bpf_insn> copy(instructions.begin(), instructions.end());
  for (size_t i = 0; i + 1 < copy.size(); i++) {
    if (!RefersToMap(copy[i])) continue;
    auto found = replacements.find(copy[i].imm);
    if (found != replacements.end()) copy[i].imm = found->second;
    i++;  // the upper half of a 16-byte instruction
  }
  return copy;
}
